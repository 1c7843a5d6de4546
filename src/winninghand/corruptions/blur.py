"""The blur family: defocus, glass, motion, zoom and Gaussian blur."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import (
    extended,
    gaussian_blurred,
    gaussian_kernel,
    mirrored_101,
    replicated,
    scale_of,
    streaked,
    to_images,
    to_planes,
    zoom_matrix,
)

DEFOCUS_RADIUS_AND_RIM = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
NEGLIGIBLE = 1e-12


@corruption("defocus_blur", "blur", group="common", deterministic=True)
def defocus_blur(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Correlate with a disk of the given radius, blurred by a 3 × 3 Gaussian against aliasing."""
    radius, rim = DEFOCUS_RADIUS_AND_RIM[severity - 1]
    kernel = _softened_disk(radius * scale_of(images), rim)
    reach = len(kernel) // 2
    planes = to_planes(images, torch.float64)
    padded = extended(extended(planes, reach, mirrored_101, -2), reach, mirrored_101, -1)
    result = torch.zeros_like(planes)
    height, width = planes.shape[-2:]
    for row, weights in enumerate(kernel):
        for column, weight in enumerate(weights):
            if weight > NEGLIGIBLE:
                result += padded[..., row : row + height, column : column + width] * weight
    return to_images(result)


@cache
def _softened_disk(radius: float, rim: float) -> list[list[float]]:
    """Return the square kernel, in float32 as the benchmark has it: rounding there decides ties."""
    reach = math.floor(radius) + 1
    places = torch.arange(-reach, reach + 1)
    disk = (places[:, None] ** 2 + places**2 <= radius**2).float()
    disk /= disk.sum()
    side, centre, _ = torch.tensor(gaussian_kernel(rim, 1), dtype=torch.float32).tolist()
    for _ in range(2):
        disk = (side * disk.roll(-1, 0) + centre * disk + side * disk.roll(1, 0)).T
    kernel: list[list[float]] = disk.tolist()
    return kernel


GLASS_SIGMA_REACH_ROUNDS = ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))


@corruption("glass_blur", "blur", group="common")
def glass_blur(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Blur, copy every pixel from up to `reach` pixels above and to the left, and blur again."""
    sigma, reach, rounds = GLASS_SIGMA_REACH_ROUNDS[severity - 1]
    scale = scale_of(images)
    reach = max(1, round(reach * scale))
    images = softened(images, sigma * scale)
    for _ in range(rounds):
        up, left = rng.integers(reach + 1, 2, *images.shape[1:3]).unbind(1)
        images = displaced(images, up, left, reach)
    return softened(images, sigma * scale)


def displaced(images: Tensor, up: Tensor, left: Tensor, reach: int) -> Tensor:
    """Return images (N, H, W, 3), each pixel copied from `up` rows above and `left` columns before.

    `up` and `left` are int64 (N, H, W) in 0 .. reach; the first reach + 1 rows and columns stay.
    The benchmark means to swap pixels and, through views of one array, only copies them; it goes
    from the last pixel to the first, so that each source is still as it was: one gather.
    """
    count, height, width, _ = images.shape
    rows = torch.arange(height, device=images.device)[:, None]
    columns = torch.arange(width, device=images.device)
    moving = (rows > reach) & (columns > reach)
    source = torch.arange(count * height * width, device=images.device).view(count, height, width)
    source -= (up * width + left) * moving
    return images.reshape(-1, 3).index_select(0, source.flatten()).view_as(images)


MOTION_RADIUS_AND_SIGMA = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))
STEEPEST_MOTION = 45


@corruption("motion_blur", "blur", group="common")
def motion_blur(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Smear every image along a line of its own, up to 45 degrees from the horizontal."""
    radius, sigma = MOTION_RADIUS_AND_SIGMA[severity - 1]
    scale = scale_of(images)
    angles = rng.uniform().double().mul_(2 * STEEPEST_MOTION).sub_(STEEPEST_MOTION)
    return streaked(images, angles, radius * scale, sigma * scale)


LARGEST_ZOOM = (1.06, 1.11, 1.16, 1.21, 1.26)

# Rounding must not take a constant area one level down.
TIE = 1e-6


@corruption("zoom_blur", "blur", group="common", deterministic=True)
def zoom_blur(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Average the image, once more, with all its zooms."""
    planes = to_planes(images, torch.float64)
    height, width = planes.shape[-2:]
    down, across = _summed_zooms(height, width, LARGEST_ZOOM[severity - 1])
    zoomed = (planes @ across.to(planes.device)).view(*planes.shape[:2], -1, width)
    return to_images((down.to(planes.device) @ zoomed).add_(TIE))


@lru_cache(maxsize=16)
def _summed_zooms(height: int, width: int, largest: float) -> tuple[Tensor, Tensor]:
    """Return what takes an image X to the mean of A X Bᵀ over its zooms, as two matrices.

    The first (H, H · Z) holds the A of Z different zooms side by side, weighted by how often each
    occurs; the second (W, Z · W) their B.
    """
    # NumPy's own range: its rounding decides whether the end belongs to it, and ties in the sizes.
    factors = [1.0, *np.arange(1, largest, 0.01).tolist()]
    pairs = [(zoom_matrix(height, factor), zoom_matrix(width, factor)) for factor in factors]
    keys = [(down.numpy().tobytes(), across.numpy().tobytes()) for down, across in pairs]
    different = dict(zip(keys, pairs, strict=True))
    often = Counter(keys)
    down = torch.stack([pair[0] * often[key] / len(factors) for key, pair in different.items()], -1)
    across = torch.cat([pair[1].T for pair in different.values()], 1)
    return down.flatten(1), across


GAUSSIAN_SIGMA = (0.4, 0.6, 0.7, 0.8, 1.0)


@corruption("gaussian_blur", "blur", group="extra", deterministic=True)
def gaussian_blur(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Blur with a Gaussian, the edge pixels replicated."""
    return softened(images, GAUSSIAN_SIGMA[severity - 1] * scale_of(images))


def softened(images: Tensor, sigma: float) -> Tensor:
    """Return uint8 (N, H, W, 3) blurred by `sigma` pixels, truncated to whole levels."""
    planes = to_planes(images, torch.float64).div_(255)
    return to_images(gaussian_blurred(planes, sigma, replicated).mul_(255))
