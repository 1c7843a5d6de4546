"""Zooming into the middle of an image, as one matrix per axis."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=16)
def zoom_matrix(length: int, factor: float) -> Tensor:
    """Return the matrix float64 (length, length) that zooms an axis by `factor` ≥ 1.

    The middle ⌈length / factor⌉ pixels are stretched to round(⌈length / factor⌉ · factor) by linear
    interpolation between aligned corners, and as many as there were are kept. Odd margins go to
    the end, so that the fixed point is not quite the centre.
    """
    cropped = math.ceil(length / factor)
    stretched = round(cropped * factor)
    first = (length - cropped) // 2
    trim = (stretched - length) // 2
    place = torch.arange(trim, trim + length).double() * (cropped - 1) / max(stretched - 1, 1)
    low = place.long().clamp_(max=cropped - 2)
    share = (place - low)[:, None]
    identity = torch.eye(length, dtype=torch.float64)
    return (1 - share) * identity[first + low] + share * identity[first + low + 1]
