"""`pixelate`: a smaller image, enlarged again without smoothing."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption

FACTOR = (0.95, 0.9, 0.85, 0.75, 0.65)


@corruption("pixelate", "digital", deterministic=True)
def pixelate(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Shrink with a box filter by the factor and enlarge with the nearest pixel, as Pillow does.

    The factor is above ½, so a box holds one or two pixels: their mean, rounded after each axis.
    """
    for axis in (2, 1):
        low, high = _boxes(images.shape[axis], FACTOR[severity - 1])
        pair = [images.index_select(axis, place.to(images.device)).short() for place in (low, high)]
        images = pair[0].add_(pair[1]).add_(1).bitwise_right_shift_(1).byte()
    return images


@cache
def _boxes(length: int, factor: float) -> tuple[Tensor, Tensor]:
    """Return the first and last source pixel of the box that every pixel of the result shows."""
    small = int(length * factor)
    width = length / small
    shown = [math.floor((place + 0.5) * small / length) for place in range(length)]
    low = [int(box * width + 0.5) for box in shown]
    high = [int((box + 1) * width + 0.5) - 1 for box in shown]
    return torch.tensor(low), torch.tensor(high)
