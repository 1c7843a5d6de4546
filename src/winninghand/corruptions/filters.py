"""Sampled Gaussians and small correlations with borders, as sums of shifted planes.

Shifted sums rather than a convolution routine: every value is the same sum in the same order
whatever the batch, and the order is the benchmark's, which decides ties before truncation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gaussian_kernel(sigma: float, radius: int) -> list[float]:
    """Return the sampled Gaussian at −radius .. radius, normalised to sum 1."""
    weights = [math.exp(-0.5 * (place / sigma) ** 2) for place in range(-radius, radius + 1)]
    total = sum(weights)
    return [weight / total for weight in weights]


def reflected_101(planes: Tensor, radius: int) -> Tensor:
    """Return planes (N, C, H, W) with `radius` more pixels a side, mirrored without repeating the edge."""
    for axis in (-2, -1):
        length = planes.shape[axis]
        places = torch.arange(-radius, length + radius, device=planes.device)
        planes = planes.index_select(axis, mirrored_101(places, length))
    return planes


def mirrored_101(places: Tensor, length: int) -> Tensor:
    """Return whole-numbered places on an axis folded into 0 .. length − 1, edges not repeated."""
    period = 2 * (length - 1)
    folded = places.remainder(period)
    return torch.minimum(folded, period - folded)
