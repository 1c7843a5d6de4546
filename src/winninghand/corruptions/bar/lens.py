"""`transverse_chromatic_abberation`: a lens that shows each colour at a size of its own."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import mirrored_101, to_images, to_planes

ABERRATION = (1, 2, 5, 9, 10)
CHANNELS = 3

# Whole levels and halves must come out the same whatever the batch.
TIE = 1e-9


@corruption("transverse_chromatic_abberation", "warp", group="bar")
def transverse_chromatic_abberation(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Enlarge two of the three colour channels, one twice as much as the other."""
    return aberrated(images, ABERRATION[severity - 1], rng.uniform(CHANNELS).argsort(1))


def aberrated(images: Tensor, strength: float, zooms: Tensor) -> Tensor:
    """Return images whose channel c is enlarged by 1 + 0.025 · strength · `zooms`[:, c] about the centre.

    `zooms` (N, 3) holds 0, 1 and 2. Cubic B-splines without a prefilter: the first channel is blurred, too.
    """
    _, height, width, _ = images.shape
    planes = to_planes(images, torch.float64)
    enlarged = [
        _enlarging(height, zoom).to(planes.device) @ planes @ _enlarging(width, zoom).to(planes.device).T
        for zoom in (1 + 0.025 * strength * step for step in range(CHANNELS))
    ]
    chosen = torch.stack(enlarged).gather(0, zooms[None, :, :, None, None].expand(1, *planes.shape))[0]
    return to_images(chosen.add_(0.5 + TIE))


@lru_cache(maxsize=32)
def _enlarging(length: int, zoom: float) -> Tensor:
    """Return the matrix float64 (length, length) that enlarges an axis and cuts out the middle."""
    enlarged = round(length * zoom)
    first = (enlarged - length) // 2
    places = torch.arange(first, first + length).double() * (length - 1) / (enlarged - 1)
    taps, weights = spline_taps(places, length)
    return torch.zeros(length, length, dtype=torch.float64).scatter_add_(1, taps, weights)


def spline_taps(places: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Return which pixels cubic B-splines read at `places` float64 (…), and their weights, each (…, 4).

    The border mirrors, its pixel not repeated.
    """
    whole = places.floor()
    share = places - whole
    other = 1 - share
    weights = [
        other**3 / 6,
        2 / 3 - share**2 * (2 - share) / 2,
        2 / 3 - other**2 * (2 - other) / 2,
        share**3 / 6,
    ]
    taps = whole.long()[..., None] + torch.arange(-1, 3)
    return mirrored_101(taps, length), torch.stack(weights, -1)
