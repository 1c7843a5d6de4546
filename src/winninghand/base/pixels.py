"""Between stored pixels, uint8 (B, H, W, 3), and what networks see, float (B, 3, H, W) in [0, 1]."""

from __future__ import annotations

from torch import Tensor


def to_unit(images: Tensor) -> Tensor:
    """Return uint8 (…, H, W, 3) as float32 (…, 3, H, W) in [0, 1]; memory stays channels-last."""
    return images.movedim(-1, -3).float().div_(255)


def to_bytes(images: Tensor) -> Tensor:
    """Return float (…, 3, H, W) in [0, 1] as uint8 (…, H, W, 3), rounded to the nearest level."""
    return images.mul(255).round_().clamp_(0, 255).byte().movedim(-3, -1)
