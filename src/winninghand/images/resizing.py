"""One way to bring images to another size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import interpolate

from winninghand.base.errors import InputError, checked_whole
from winninghand.images.checks import UInt8Array, check_memory

Size = tuple[int, int]
_IMAGES_AT_ONCE = 1024
_LONGEST_SIDE = 8192


def checked_size(size: int | Size | None) -> Size | None:
    """Return `size` as (height, width) in pixels; one number means a square. `None` stays `None`."""
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size, size)
    if len(pair) != 2:
        raise InputError(f"size must be one or two whole numbers of pixels, not {size!r}")
    height, width = (checked_whole("size", side, 1, _LONGEST_SIDE) for side in pair)
    return height, width


def resized(images: UInt8Array, size: Size | None) -> UInt8Array:
    """Return uint8 images (N, H, W, 3) at `size`, bilinearly and with antialiasing where they shrink."""
    if size is None or images.shape[1:3] == size:
        return images
    check_memory(len(images), size)
    result = np.empty((len(images), *size, 3), dtype=np.uint8)
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        # A copy, as torch warns of arrays that it must not write to.
        part = np.array(images[start : start + _IMAGES_AT_ONCE], order="C")
        channels_first = torch.from_numpy(part).permute(0, 3, 1, 2)
        scaled = interpolate(channels_first, size=size, mode="bilinear", antialias=True)
        result[start : start + len(part)] = scaled.permute(0, 2, 3, 1).numpy()
    return result
