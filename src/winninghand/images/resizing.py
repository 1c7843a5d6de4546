"""One way to bring images to another size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from winninghand.base.errors import InputError, checked_whole, shown
from winninghand.images.checks import UInt8Array, check_memory

Size = tuple[int, int]
_IMAGES_AT_ONCE = 1024
_LONGEST_SIDE = 8192
_MOST_PIXELS, _NARROWEST = 2**26, 64
_RESIZE = re.compile(r"resize([1-9][0-9]{0,3})")


class Geometry(NamedTuple):
    """Which part of an image is taken, what it is resized to, and where that is put; in pixels.

    The part begins at `top` and `left` of the image and has the size `cut`; resized to `inner` it begins at
    `down` and `right` of the result, which is black elsewhere. Where these are below 0, `inner` is larger
    than the result: so much of it is cut off.
    """

    top: int
    left: int
    cut: Size
    inner: Size
    down: int
    right: int


def geometry(own: Size, size: Size, transform: str) -> Geometry:
    """Return how an image of the size `own` (height, width) is brought to `size`: see `Preparation`.

    Of the part that `crop` takes, of the place and the size that `pad` gives, halves of pixels are rounded.
    `resize256` rounds as torchvision's `Resize(256)` and `CenterCrop(size)` do. Raises `InputError` for an
    image more than 64 times as long as wide, or of more than 67 million pixels by then.
    """
    shorter = shorter_side(transform)
    if shorter is not None:
        height, width = (shorter * side // min(own) for side in own)
        if max(own) > _NARROWEST * min(own) or height * width > _MOST_PIXELS:
            raise InputError(
                f"an image of {own[1]}×{own[0]} pixels is too narrow for {transform}; cut it, or give "
                "another transform"
            )
        down, right = (-round((side - to) / 2) for side, to in zip((height, width), size, strict=True))
        return Geometry(0, 0, own, (height, width), down, right)
    if transform == "crop":
        ratio = min(own[0] / size[0], own[1] / size[1])
        height, width = (min(side, max(1, round(ratio * to))) for side, to in zip(own, size, strict=True))
        return Geometry((own[0] - height) // 2, (own[1] - width) // 2, (height, width), size, 0, 0)
    if transform == "pad":
        ratio = min(size[0] / own[0], size[1] / own[1])
        height, width = (min(to, max(1, round(ratio * side))) for side, to in zip(own, size, strict=True))
        return Geometry(0, 0, own, (height, width), (size[0] - height) // 2, (size[1] - width) // 2)
    return Geometry(0, 0, own, size, 0, 0)


def shorter_side(transform: str) -> int | None:
    """Return N of a transform `resizeN`: to so many pixels the shorter side is brought; else None."""
    found = _RESIZE.fullmatch(transform)
    return None if found is None else int(found[1])


def checked_transform(transform: str) -> str:
    """Return a transform, or raise `InputError` unless it is one; see `Preparation`."""
    known = transform in ("crop", "squash", "pad")
    if not known and not 1 <= (shorter_side(transform) or 0) <= _LONGEST_SIDE:
        raise InputError(
            "it is crop, squash, pad, or resize and the pixels of the shorter side, such as resize256, not "
            f"{shown(repr(transform), 40)}"
        )
    return transform


def checked_size(size: int | Size | None) -> Size | None:
    """Return `size` as (height, width) in pixels; one number means a square. `None` stays `None`."""
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size, size)
    if len(pair) != 2:
        raise InputError(f"size must be one or two whole numbers of pixels, not {size!r}")
    height, width = (checked_whole("size", side, 1, _LONGEST_SIDE) for side in pair)
    return height, width


def resized(images: UInt8Array, size: Size | None, transform: str = "crop") -> UInt8Array:
    """Return uint8 images (N, H, W, 3) at `size`: see `at_size`."""
    if size is None or (images.shape[1:3] == size and shorter_side(transform) is None):
        return images
    check_memory(len(images), size)
    result = np.empty((len(images), *size, 3), dtype=np.uint8)
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        # A copy, as torch warns of arrays that it must not write to.
        part = np.array(images[start : start + _IMAGES_AT_ONCE], order="C")
        channels_first = torch.from_numpy(part).permute(0, 3, 1, 2)
        scaled = at_size(channels_first, size, transform)
        result[start : start + len(part)] = scaled.permute(0, 2, 3, 1).numpy()
    return result


def at_size(images: Tensor, size: Size, transform: str = "crop") -> Tensor:
    """Return images (N, C, H, W) at `size`, bilinearly and with antialiasing where they shrink.

    Those that have it stay as they are, but for a transform such as `resize256`, which cuts these, too.
    """
    own = images.shape[-2], images.shape[-1]
    if own == size and shorter_side(transform) is None:
        return images
    top, left, (height, width), inner, down, right = geometry(own, size, transform)
    part = images[..., top : top + height, left : left + width]
    if part.shape[-2:] != inner:
        part = interpolate(part, size=inner, mode="bilinear", antialias=True)
    if inner == size:
        return part
    if down < 0 or right < 0:
        return part[..., -down : size[0] - down, -right : size[1] - right]
    result = part.new_zeros(*part.shape[:-2], *size)
    result[..., down : down + inner[0], right : right + inner[1]] = part
    return result
