"""`contrast`: less of it, around each image's own mean colour."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.planes import to_images, to_planes

FACTOR = (0.75, 0.5, 0.4, 0.3, 0.15)


@corruption("contrast", "digital", deterministic=True)
def contrast(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Move every value towards its channel's mean over the image: (x − mean) · factor + mean."""
    planes = to_planes(images, torch.float64).div_(255)
    pixels = images.shape[1] * images.shape[2]
    mean = images.sum((1, 2)).double()[..., None, None] / (255 * pixels)
    return to_images(planes.sub_(mean).mul_(FACTOR[severity - 1]).add_(mean).mul_(255))
