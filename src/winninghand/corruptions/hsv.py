"""Images in HSV (Smith 1978), with hue given as what it means for each channel."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.corruptions.planes import to_planes


def hsv_parts(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return value and saturation, float64 (N, 1, H, W) in [0, 1], and depth (N, 3, H, W).

    A channel is value · (1 − saturation · depth): depth is 0 for the largest channel, 1 for the
    smallest. It goes through the hue as the benchmark's conversion does, since the rounding on
    that way decides ties before truncation. Grey counts as red: its depths are 0, 1, 1.
    """
    planes = to_planes(images, torch.float64).div_(255)
    value = planes.amax(1, keepdim=True)
    least = planes.amin(1, keepdim=True)
    span = value - least
    saturation = span / (value + (value == 0))
    largest, sector = _largest_and_sector(planes, value, span)
    whole = sector.floor()
    odd = whole - whole.div(2).floor_().mul_(2)
    middle = 1 - (odd - (sector - whole)).abs_()
    smallest = (planes == least).double()
    depth = (1 - largest).mul_(smallest + (1 - smallest).mul_(middle))
    return value, saturation, depth


def _largest_and_sector(planes: Tensor, value: Tensor, span: Tensor) -> tuple[Tensor, Tensor]:
    """Return which channel is the largest, 0 or 1 (N, 3, H, W), and the hue in sixths (N, 1, H, W)."""
    red, green, blue = planes.split(1, 1)
    # Masks are multiplied with: a branch on every pixel's colour would cost more than all the rest.
    coloured = (span > 0).double()
    divisor = span + (1 - coloured)
    is_blue = (blue == value) * coloured
    is_green = (green == value) * coloured * (1 - is_blue)
    is_red = 1 - is_blue - is_green
    sector = (green - blue).mul_(is_red) / divisor
    sector += ((blue - red) / divisor).add_(2).mul_(is_green)
    sector += ((red - green) / divisor).add_(4).mul_(is_blue)
    turn = sector.div_(6)
    return torch.cat([is_red, is_green, is_blue], 1), (turn - turn.floor()).mul_(6)
