"""`brightness`: more of it, as a shift of the value in HSV."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.planes import to_images, to_planes
from winninghand.randomness import Streams

SHIFT = (0.05, 0.1, 0.15, 0.2, 0.3)


@corruption("brightness", "weather", deterministic=True)
def brightness(images: Tensor, severity: int, _: Streams) -> Tensor:
    """Add the shift to V = max(R, G, B) on the unit range; hue and saturation stay.

    That scales a pixel's colour by min(V + shift, 1) / V; black becomes grey.
    """
    planes = to_planes(images, torch.float64).div_(255)
    value = planes.amax(1, keepdim=True)
    brighter = (value + SHIFT[severity - 1]).clamp_(max=1)
    grey = (value - planes).div_(value).nan_to_num_(0)
    return to_images((1 - grey).mul_(brighter).mul_(255))
