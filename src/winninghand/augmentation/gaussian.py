"""`gaussian`: additive noise on the unit range, after flip and crop."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.augmentation.domain import Clean


class Gaussian(Clean):
    """Gaussian noise of standard deviation `sigma`, clamped to [0, 1], before normalisation.

    Each image receives noise with probability `probability`.
    """

    name: ClassVar[str] = "gaussian"
    overlaps: ClassVar[frozenset[str]] = frozenset({"noise"})

    sigma: float = Field(default=0.1, ge=0, le=1)
    probability: float = Field(default=1.0, ge=0, le=1)

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view: the images, flipped, cropped and noisy."""
        views = super().views(images, generator)
        noise = torch.randn(views.shape, generator=generator, device=views.device).mul_(self.sigma)
        if self.probability < 1:
            noisy = torch.rand(views.shape[1], generator=generator, device=views.device) < self.probability
            noise.mul_(noisy[:, None, None, None])
        return views.add_(noise).clamp_(0, 1)
