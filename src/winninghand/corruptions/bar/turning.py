"""`circular_motion_blur`: the blur of a camera that turns about its axis."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.bar.lens import spline_taps
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import to_images, to_planes

CIRCULAR_MOTION = (2.8, 3.6, 4.4, 5.2, 6)
EXPOSURES = 21

# Rounding must not take a constant area one level down.
TIE = 1e-9


@corruption("circular_motion_blur", "blur", group="bar", deterministic=True)
def circular_motion_blur(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Average rotations about the centre; outside the image it is black, which darkens the corners."""
    return turned(images, CIRCULAR_MOTION[severity - 1])


def turned(images: Tensor, strength: float) -> Tensor:
    """Return the mean of 21 rotations by up to 1.5 · strength degrees, weighted by a Gaussian.

    Each is read from the image's cubic spline.
    """
    count, height, width, channels = images.shape
    planes = to_planes(images, torch.float64)
    planes = prefilter(height).to(planes) @ planes @ prefilter(width).to(planes).T
    rotations = _rotations(height, width, strength)
    pixels = planes.permute(2, 3, 0, 1).reshape(height * width, count * channels)
    blurred = functional.embedding_bag(
        rotations.sources.to(pixels.device),
        pixels,
        rotations.begins.to(pixels.device),
        mode="sum",
        per_sample_weights=rotations.weights.to(pixels.device),
    )
    return to_images(blurred.view(height, width, count, channels).permute(2, 3, 0, 1).add(TIE))


class Rotations(NamedTuple):
    """The sources and weights of all pixels one after the other, and where those of each pixel begin."""

    begins: Tensor
    sources: Tensor
    weights: Tensor


@lru_cache(maxsize=5)
def _rotations(height: int, width: int, strength: float) -> Rotations:
    """Return how the spline coefficients of an image make the mean of its rotations."""
    rows = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
    columns = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    times = torch.linspace(-1, 1, EXPOSURES, dtype=torch.float64)
    shares = torch.exp(-2 * times**2)
    sources, weights = [], []
    for time, share in zip(times.tolist(), (shares / shares.sum()).tolist(), strict=True):
        sine, cosine = (function(math.radians(1.5 * strength * time)) for function in (math.sin, math.cos))
        down = cosine * rows + sine * columns + (height - 1) / 2
        across = cosine * columns - sine * rows + (width - 1) / 2
        inside = (down >= 0) & (down <= height - 1) & (across >= 0) & (across <= width - 1)
        (down_taps, down_weights), (across_taps, across_weights) = (
            spline_taps(places, length) for places, length in ((down, height), (across, width))
        )
        sources.append((down_taps[..., :, None] * width + across_taps[..., None, :]).flatten(2).int())
        weight = down_weights[..., :, None] * across_weights[..., None, :]
        weights.append(weight.flatten(2) * (share * inside)[..., None])
    return _merged(torch.cat(sources, 2).flatten(0, 1), torch.cat(weights, 2).flatten(0, 1))


def _merged(sources: Tensor, weights: Tensor) -> Rotations:
    """Return sources and weights (pixels, taps) with each source of a pixel named once."""
    sources, order = sources.sort(dim=1, stable=True)
    new = torch.ones_like(sources, dtype=torch.bool)
    new[:, 1:] = sources[:, 1:] != sources[:, :-1]
    place = new.flatten().cumsum(0) - 1
    total = torch.zeros(int(place[-1]) + 1, dtype=torch.float64)
    total.index_add_(0, place, weights.gather(1, order).flatten())
    counts = new.sum(1)
    return Rotations((counts.cumsum(0) - counts).int(), sources[new], total)


@lru_cache(maxsize=16)
def prefilter(length: int) -> Tensor:
    """Return the matrix float64 (length, length) from pixels to their cubic spline's coefficients.

    The border mirrors, its pixel not repeated.
    """
    taps, weights = spline_taps(torch.arange(length, dtype=torch.float64), length)
    spline = torch.zeros(length, length, dtype=torch.float64).scatter_add_(1, taps, weights)
    inverse: Tensor = torch.linalg.inv(spline)
    return inverse
