"""Sampled Gaussians and borders, as sums of shifted planes.

Shifted sums rather than a convolution routine: every value is the same sum in the same order
whatever the batch, and the order is the benchmark's, which decides ties before truncation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Border = Callable[[Tensor, int], Tensor]


def gaussian_kernel(sigma: float, radius: int) -> list[float]:
    """Return the sampled Gaussian at −radius .. radius, normalised to sum 1."""
    places = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / sigma**2 * places**2)
    kernel: list[float] = (weights / weights.sum()).tolist()
    return kernel


def gaussian_blurred(planes: Tensor, sigma: float, border: Border, truncate: float = 4.0) -> Tensor:
    """Return planes (…, H, W) blurred along both axes, the kernel cut at `truncate` deviations."""
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return planes
    kernel = gaussian_kernel(sigma, radius)
    for axis in (-2, -1):
        length = planes.shape[axis]
        padded = extended(planes, radius, border, axis)
        planes = planes * kernel[radius]
        # From the outside inwards, as SciPy adds: ties before truncation hang on it.
        for reach in range(radius, 0, -1):
            pair = padded.narrow(axis, radius - reach, length) + padded.narrow(axis, radius + reach, length)
            planes += pair.mul_(kernel[radius - reach])
    return planes


def extended(planes: Tensor, radius: int, border: Border, axis: int) -> Tensor:
    """Return planes with `radius` more pixels at both ends of one axis, taken as the border says."""
    length = planes.shape[axis]
    places = torch.arange(-radius, length + radius, device=planes.device)
    return planes.index_select(axis, border(places, length))


def replicated(places: Tensor, length: int) -> Tensor:
    """Return places on an axis moved to the nearest of 0 .. length − 1."""
    return places.clamp(0, length - 1)


def mirrored(places: Tensor, length: int) -> Tensor:
    """Return places on an axis folded into 0 .. length − 1, the edges repeated (half-sample symmetry)."""
    folded = places.remainder(2 * length)
    return torch.minimum(folded, 2 * length - 1 - folded)


def mirrored_101(places: Tensor, length: int) -> Tensor:
    """Return places on an axis folded into 0 .. length − 1, the edges not repeated."""
    period = 2 * (length - 1)
    folded = places.remainder(period)
    return torch.minimum(folded, period - folded)
