"""`clean`: a random horizontal flip and a padded random crop, which come first in every domain."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from winninghand.augmentation.domain import Domain
from winninghand.base.pixels import to_unit


class Clean(Domain):
    """Random horizontal flip and a random crop from the padded image."""

    name: ClassVar[str] = "clean"

    padding: int = Field(default=4, ge=0)
    flip: bool = True

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view: the images, flipped and cropped."""
        return to_unit(flip_and_crop(images, generator, self.padding, self.flip))[None]


def flip_and_crop(images: Tensor, generator: torch.Generator, padding: int, flip: bool) -> Tensor:
    """Return uint8 (B, H, W, 3): each image flipped with probability ½ and shifted by up to `padding`.

    What a shift uncovers is black, as in the usual padded crop (He et al. 2016, section 4.2).
    """
    count, height, width, _ = images.shape
    device = images.device
    padded = functional.pad(images, (0, 0, padding, padding, padding, padding)) if padding else images
    offsets = torch.randint(2 * padding + 1, (2, count), generator=generator, device=device)
    # All windows of an image as a view, of which one is taken: rows of pixels are copied whole.
    windows = padded.unfold(1, height, 1).unfold(2, width, 1).movedim(3, -1)
    crops = windows[torch.arange(count, device=device), offsets[0], offsets[1]]
    if not flip:
        return crops
    flipped = torch.rand(count, 1, 1, 1, generator=generator, device=device) < 0.5
    return torch.where(flipped, crops.flip(2), crops)
