"""Images that stay on the training device, served in a seeded order."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from winninghand.images import Split
from winninghand.training.seeds import generator_of


class Batches:
    """A split on a device, uint8, in batches of one size.

    Each epoch visits the images in an order that depends on its seed parts alone. The images
    that do not fill a last batch are left to other epochs; a split smaller than a batch is one.
    """

    def __init__(self, split: Split, batch_size: int, device: torch.device) -> None:
        self.images = torch.from_numpy(split.images).to(device)
        self.labels = torch.from_numpy(split.labels).to(device)
        self.batch_size = min(batch_size, len(split))

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def epoch(self, *seed_parts: int | str) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images uint8 (B, H, W, 3) and labels int64 (B,)."""
        device = self.images.device
        order = torch.randperm(
            len(self.labels), generator=generator_of(device, *seed_parts, "order"), device=device
        )
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            indices = order[start : start + self.batch_size]
            yield self.images[indices], self.labels[indices]

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images once, in their stored order."""
        yield from zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True)
