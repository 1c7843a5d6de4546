"""`snow`: streaks of flakes, and a whiter world."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.planes import scale_of, to_images, to_planes
from winninghand.corruptions.streaks import streaked
from winninghand.corruptions.zooming import zoom_matrix


class Snowfall(NamedTuple):
    """One severity: the flakes' noise, their zoom and threshold, their streaks, and the whitening."""

    mean: float
    std: float
    zoom: float
    threshold: float
    radius: float
    sigma: float
    kept: float


SNOWFALL = (
    Snowfall(0.1, 0.2, 1, 0.6, 8, 3, 0.95),
    Snowfall(0.1, 0.2, 1, 0.5, 10, 4, 0.9),
    Snowfall(0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    Snowfall(0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    Snowfall(0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
)
FIRST_ANGLE, ANGLES = -135, 90


@corruption("snow", "weather")
def snow(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Mix with a brightened grey, then add a layer of streaks and the same layer upside down."""
    snowfall = SNOWFALL[severity - 1]
    planes = to_planes(images)
    red, green, blue = planes.split(1, 1)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    whitened = torch.maximum(planes, 1.5 * grey + 0.5 * 255)
    flakes = _flakes(images, snowfall, rng).permute(0, 3, 1, 2).float()
    mixed = planes.mul_(snowfall.kept) + whitened.mul_(1 - snowfall.kept)
    return to_images(mixed.add_(flakes).add_(flakes.flip(2, 3)))


def _flakes(images: Tensor, snowfall: Snowfall, rng: CounterRNG) -> Tensor:
    """Return one layer of streaks per image, uint8 (N, H, W, 1)."""
    _, height, width, _ = images.shape
    scale = scale_of(images)
    noise = rng.normal(height, width).double().mul_(snowfall.std).add_(snowfall.mean)
    zoom = max(1.0, snowfall.zoom * scale)
    noise = zoom_matrix(height, zoom).to(noise) @ noise @ zoom_matrix(width, zoom).to(noise).T
    noise *= noise >= snowfall.threshold
    layer = noise.clamp_(max=1).mul_(255).byte()[..., None]
    angles = rng.uniform().double().mul_(ANGLES).add_(FIRST_ANGLE)
    return streaked(layer, angles, snowfall.radius * scale, snowfall.sigma * scale)
