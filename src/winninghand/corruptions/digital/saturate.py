"""`saturate`: colours pulled from grey or towards it."""

from __future__ import annotations

from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.hsv import hsv_parts
from winninghand.corruptions.planes import to_images

GAIN_AND_OFFSET = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))


@corruption("saturate", "digital", group="extra", deterministic=True)
def saturate(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Replace S of HSV by gain · S + offset, clipped to 0..1; hue and value stay.

    Grey has hue 0 there, which is red: an offset makes it reddish.
    """
    gain, offset = GAIN_AND_OFFSET[severity - 1]
    value, saturation, depth = hsv_parts(images)
    changed = saturation.mul_(gain).add_(offset).clamp_(0, 1)
    return to_images((1 - depth.mul_(changed)).mul_(value).mul_(255))
