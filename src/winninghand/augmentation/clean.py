"""`clean`: flip and padded crop, nothing else."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.augmentation.domain import Domain
from winninghand.augmentation.flip_and_crop import flip_and_crop
from winninghand.base.pixels import to_unit


class Clean(Domain):
    """Random horizontal flip and a random crop from the padded image."""

    name: ClassVar[str] = "clean"

    padding: int = Field(default=4, ge=0)
    flip: bool = True

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view: the images, flipped and cropped."""
        return to_unit(flip_and_crop(images, generator, self.padding, self.flip))[None]
