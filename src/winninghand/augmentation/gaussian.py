"""`gaussian`: additive noise on the unit range, after flip and crop."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.augmentation.consistency import Consistent


class Gaussian(Consistent):
    """Gaussian noise of standard deviation `sigma`, clamped to [0, 1], before normalisation.

    Each image receives noise with probability `probability`. With `jsd` a batch has three views, the
    clean one and two noisy ones, and the loss is that of AugMix (Hendrycks et al. 2020, equation 1):
    the clean view's cross-entropy plus `jsd_weight` times the Jensen–Shannon divergence among them.
    """

    name: ClassVar[str] = "gaussian"
    overlaps: ClassVar[frozenset[str]] = frozenset({"noise"})

    sigma: float = Field(default=0.1, ge=0, le=1)
    probability: float = Field(default=1.0, ge=0, le=1)
    jsd: bool = False

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view: the images, flipped, cropped and noisy; with JSD, a clean one and two such."""
        base = super().views(images, generator)
        shape, device = (2 if self.jsd else 1, *base.shape[1:]), base.device
        noise = torch.randn(shape, generator=generator, device=device).mul_(self.sigma)
        if self.probability < 1:
            noisy = torch.rand(shape[:2], generator=generator, device=device) < self.probability
            noise.mul_(noisy[..., None, None, None])
        noisy_views = base.add(noise).clamp_(0, 1)
        return torch.cat([base, noisy_views]) if self.jsd else noisy_views
