"""Between stored pixels, uint8 (N, H, W, 3), and colour planes, float (N, 3, H, W) in levels 0..255."""

from __future__ import annotations

import torch
from torch import Tensor

BENCHMARK_SIDE = 32


def to_planes(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return uint8 (N, H, W, 3) as contiguous planes (N, 3, H, W) of `dtype`, in levels 0..255."""
    return images.permute(0, 3, 1, 2).to(dtype, memory_format=torch.contiguous_format)


def to_images(planes: Tensor) -> Tensor:
    """Return planes as uint8 (N, H, W, 3), clamped to 0..255 and truncated; `planes` is overwritten.

    Truncated, not rounded: so does the benchmark, whose float results are cast with `np.uint8`.
    """
    return planes.clamp_(0, 255).byte().permute(0, 2, 3, 1)


def scale_of(images: Tensor) -> float:
    """Return what lengths in pixels are multiplied by: the shorter side over the benchmark's 32."""
    return min(images.shape[1:3]) / BENCHMARK_SIDE
