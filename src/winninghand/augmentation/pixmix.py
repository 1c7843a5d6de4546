"""`pixmix`: images mixed with fractals and with augmented copies of themselves."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.augmentation.augmix import HIGHEST_LEVEL, LOWEST_LEVEL, draw_operations
from winninghand.augmentation.chains import mix_chains
from winninghand.augmentation.domain import Clean, flip_and_crop
from winninghand.augmentation.fractals import fractals

SMALLEST_FACTOR = 1e-37
"""Keeps a black pixel's negative power finite in float32."""


class PixMix(Clean):
    """PixMix (Hendrycks et al. 2022, figure 3), with a fresh fractal for each image.

    After flip and crop, an image or an augmented copy of it is mixed 0 to `rounds` times, by sum
    or by product, with its fractal or with another augmented copy. `beta` is the concentration of
    the mixing weights: the higher, the weaker. A copy is augmented by one of AugMix's nine
    operations at a level up to `severity`.
    """

    name: ClassVar[str] = "pixmix"

    rounds: int = Field(default=4, ge=0, le=16)
    beta: float = Field(default=3.0, gt=0)
    severity: float = Field(default=3.0, ge=LOWEST_LEVEL, le=HIGHEST_LEVEL)

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view: the images, flipped, cropped and mixed."""
        base = flip_and_crop(images, generator, self.padding, self.flip)
        count, height, width, _ = base.shape
        device = base.device
        turns = 1 + self.rounds
        operations, magnitudes = draw_operations(
            (count, turns, 1, 1), self.severity, (height, width), generator
        )
        shares = torch.tensor([0.0, 1.0], device=device).expand(count, turns, 2)
        copies = mix_chains(base, operations, magnitudes, shares)
        pictures = fractals(count, height, width, generator)
        rounds = torch.randint(turns, (count, 1, 1, 1), generator=generator, device=device)
        by_sum, copied = torch.rand(2, turns, count, 1, 1, 1, generator=generator, device=device) < 0.5
        weights = self._weights((turns, count, 1, 1, 1), generator)

        mixed = torch.where(copied[0], copies[0], base.float().div_(255))
        for turn in range(1, turns):
            partner = torch.where(copied[turn], copies[turn], pictures)
            after = _mix(mixed, partner, weights[:, turn], by_sum[turn])
            mixed = torch.where(turn <= rounds, after, mixed)
        return mixed.movedim(-1, -3)[None]

    def _weights(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Return the weights of image and partner, (2, *shape), drawn with even chances from two laws.

        Either Beta(β, 1) and Beta(1, β), or 1 + Beta(1, β) and −Beta(1, β): the second subtracts.
        """
        # A power of a uniform number is Beta(β, 1), and 1 less it Beta(1, β).
        large, small = torch.rand(2, *shape, generator=generator, device=generator.device) ** (1 / self.beta)
        small = 1 - small
        subtracts = torch.rand(shape, generator=generator, device=generator.device) < 0.5
        other = 2 - large
        return torch.stack([torch.where(subtracts, other, large), torch.where(subtracts, -small, small)])


def _mix(image: Tensor, partner: Tensor, weights: Tensor, by_sum: Tensor) -> Tensor:
    """Return the weighted sum about mid-grey, or the weighted geometric product, in [0, 1]."""
    first, second = weights
    total = first * (image - 0.5) + second * (partner - 0.5) + 0.5
    product = (2 * image) ** first * (2 * partner).clamp(min=SMALLEST_FACTOR) ** second / 2
    return torch.where(by_sum, total, product).clamp(0, 1)
