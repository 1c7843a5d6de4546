"""`afa`: plane waves added to each channel, and predictions that must agree."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.augmentation.consistency import Consistent
from winninghand.augmentation.domain import flip_and_crop

ANGLES = 448
"""Directions that a wave may take, evenly spaced over half a turn."""


class AuxiliaryFourier(Consistent):
    """Auxiliary Fourier-basis augmentation (Vaish, Wang & Strisciuglio 2024), without auxiliary norms.

    After flip and crop, each channel of each image receives one plane wave, and the sum is clamped
    to [0, 1]. Its frequency is one of 1..n waves per image, n being the longer side, its direction
    one of 448. Its L2 norm is n/32 times a strength that is exponential with the mean `strength`.
    With `jsd` a batch has three views, the clean one and two with waves, and the loss is the clean
    view's cross-entropy plus `jsd_weight` times the Jensen–Shannon divergence among them: the
    authors' form for networks with one set of norms. Without it there is one view with waves.
    """

    name: ClassVar[str] = "afa"
    overlaps: ClassVar[frozenset[str]] = frozenset({"single_frequency_greyscale"})

    strength: float = Field(default=5.0, ge=0)
    jsd_weight: float = Field(default=10.0, ge=0)

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the clean view and two with waves, all of one flip and crop; without JSD, one with waves."""
        base = flip_and_crop(images, generator, self.padding, self.flip).float().div_(255)
        count, height, width, _ = base.shape
        waves = plane_waves((2 if self.jsd else 1, count), (height, width), generator)
        strengths = -self.strength * torch.log1p(
            -torch.rand(*waves.shape[:2], 1, 1, 3, generator=generator, device=base.device)
        )
        changed = base.add(waves.mul_(strengths)).clamp_(0, 1)
        found = torch.cat([base[None], changed]) if self.jsd else changed
        return found.movedim(-1, -3)


def plane_waves(shape: tuple[int, ...], size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Return a random wave for each channel, float32 (*shape, H, W, 3), of L2 norm √(H·W) / 32 per channel.

    A wave is sin(2πf(y·cos a + x·sin a) − π/4) with y and x from minus to plus half the side in H and W
    steps (Vaish et al. 2024, equation 1 and its code); f is 1..n over n, n the longer side.
    """
    device = generator.device
    drawn = (*shape, 1, 3)
    longest = max(size)
    turns = torch.randint(1, longest + 1, drawn, generator=generator, device=device)
    angles = torch.randint(ANGLES, drawn, generator=generator, device=device) * (math.pi / (ANGLES - 1))
    speed = turns * (2 * math.pi / longest)
    down, across = (torch.linspace(-side / 2, side / 2, side, device=device)[:, None] for side in size)
    # The sine of a sum: one sine per row and column, instead of one per pixel.
    rows, columns = speed * angles.cos() * down - math.pi / 4, speed * angles.sin() * across
    waves = rows.sin()[..., :, None, :] * columns.cos()[..., None, :, :]
    waves += rows.cos()[..., :, None, :] * columns.sin()[..., None, :, :]
    norms = waves.square().sum(dim=(-3, -2), keepdim=True).sqrt()
    return waves.mul_(math.sqrt(size[0] * size[1]) / 32 / norms)
