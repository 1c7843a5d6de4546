"""`brightness`: more of it, as a shift of the value in HSV."""

from __future__ import annotations

from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.hsv import hsv_parts
from winninghand.corruptions.planes import to_images

SHIFT = (0.05, 0.1, 0.15, 0.2, 0.3)


@corruption("brightness", "weather", deterministic=True)
def brightness(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Add the shift to V of HSV, clipped to 1; hue and saturation stay."""
    value, saturation, depth = hsv_parts(images)
    brighter = value.add_(SHIFT[severity - 1]).clamp_(max=1)
    return to_images((1 - depth.mul_(saturation)).mul_(brighter).mul_(255))
