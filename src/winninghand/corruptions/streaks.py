"""The linear motion blur of ImageMagick, with an angle of its own for every image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from winninghand.corruptions.filters import extended, replicated

NEGLIGIBLE = 1e-9


def streaked(images: Tensor, angles: Tensor, radius: float, sigma: float) -> Tensor:
    """Return uint8 (N, H, W, C) smeared along a line, as `MotionBlurImage` with 16-bit quanta does.

    `angles` is float64 (N,), in degrees. The taps i = 0 .. 2⌈radius⌉ weigh exp(−i²/2σ²), one-sided,
    and lie on the pixel nearest to (i cos t, i sin t); the border is replicated. The result is
    rounded to 16 bits and cut to 8.
    """
    weights = _one_sided_weights(radius, sigma)
    taps = torch.arange(len(weights), device=images.device)
    turned = angles.double().deg2rad()[:, None]
    across = (taps * turned.cos() - 0.5).ceil().long()
    down = (taps * turned.sin() - 0.5).ceil().long()

    count, height, width, channels = images.shape
    reach = len(weights) - 1
    padded = extended(extended(images, reach, replicated, 1), reach, replicated, 2)
    flat = padded.reshape(-1, channels).double()
    stride = padded.shape[2]
    rows = torch.arange(reach, reach + height, device=images.device)[:, None]
    columns = torch.arange(reach, reach + width, device=images.device)
    first = torch.arange(count, device=images.device) * padded.shape[1] * stride
    pixels = (first[:, None, None] + rows * stride + columns).view(count, -1)

    total = torch.zeros(count * height * width, channels, dtype=torch.float64, device=images.device)
    for tap, weight in enumerate(weights):
        source = pixels + (down[:, tap] * stride + across[:, tap])[:, None]
        total += flat.index_select(0, source.flatten()).mul_(weight)
    return total.mul_(257).add_(0.5).floor_().div_(257).byte().view_as(images)


def _one_sided_weights(radius: float, sigma: float) -> list[float]:
    """Return the normalised weights of the taps from 0 on, without the tail that changes nothing."""
    weights = [math.exp(-(tap**2) / (2 * sigma**2)) for tap in range(2 * math.ceil(radius) + 1)]
    total = sum(weights)
    return [weight / total for weight in weights if weight / total > NEGLIGIBLE]
