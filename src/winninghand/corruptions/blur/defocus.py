"""`defocus_blur`: a disk with a softened rim."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.filters import extended, gaussian_kernel, mirrored_101
from winninghand.corruptions.planes import scale_of, to_images, to_planes

RADIUS_AND_RIM = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
NEGLIGIBLE = 1e-12


@corruption("defocus_blur", "blur", deterministic=True)
def defocus_blur(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Correlate with a disk of the given radius, blurred by a 3 × 3 Gaussian against aliasing."""
    radius, rim = RADIUS_AND_RIM[severity - 1]
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
