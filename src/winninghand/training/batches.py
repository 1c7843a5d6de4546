"""A split in batches, on the device or from its files."""

from __future__ import annotations

import torch

from winninghand.images import Split
from winninghand.images.checks import StreamedImages
from winninghand.training.data import Batches, ResidentSplit


def batches_of(split: Split, batch_size: int, device: torch.device, workers: int = 0) -> Batches:
    """Return a split in batches; where it is streamed, so many threads decode it, for 0 one for each core."""
    if not isinstance(split.images, StreamedImages):
        return ResidentSplit(split, batch_size, device)
    from winninghand.training.streaming import StreamedSplit  # of which others have no need

    return StreamedSplit(split, split.images, batch_size, device, workers)
