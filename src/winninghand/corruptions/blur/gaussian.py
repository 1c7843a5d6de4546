"""`gaussian_blur`: a plain one."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.filters import gaussian_blurred, replicated
from winninghand.corruptions.planes import scale_of, to_images, to_planes

SIGMA = (0.4, 0.6, 0.7, 0.8, 1.0)


@corruption("gaussian_blur", "blur", group="extra", deterministic=True)
def gaussian_blur(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Blur with a Gaussian, the edge pixels replicated."""
    return softened(images, SIGMA[severity - 1] * scale_of(images))


def softened(images: Tensor, sigma: float) -> Tensor:
    """Return uint8 (N, H, W, 3) blurred by `sigma` pixels, truncated to whole levels."""
    planes = to_planes(images, torch.float64).div_(255)
    return to_images(gaussian_blurred(planes, sigma, replicated).mul_(255))
