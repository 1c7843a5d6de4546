"""The base augmentation under every domain: a random horizontal flip and a padded random crop."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def flip_and_crop(images: Tensor, generator: torch.Generator, padding: int, flip: bool) -> Tensor:
    """Return uint8 (B, H, W, 3): each image flipped with probability ½ and shifted by up to `padding`.

    What a shift uncovers is black, as in the usual padded crop (He et al. 2016, section 4.2).
    One gather does both: row and column indices are drawn per image.
    """
    count, height, width, _ = images.shape
    device = images.device
    padded = functional.pad(images, (0, 0, padding, padding, padding, padding)) if padding else images
    span = 2 * padding + 1
    offsets = torch.randint(span, (2, count, 1), generator=generator, device=device)
    columns = torch.arange(width, device=device).expand(count, width)
    if flip:
        flipped = torch.rand(count, 1, generator=generator, device=device) < 0.5
        columns = torch.where(flipped, width - 1 - columns, columns)
    rows = torch.arange(height, device=device) + offsets[0]
    columns = columns + offsets[1]
    batch = torch.arange(count, device=device)[:, None, None]
    return padded[batch, rows[:, :, None], columns[:, None, :]]
