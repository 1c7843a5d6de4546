"""Operations that mix an image with a poorer version of itself: grey for color, smooth for sharpness."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.augmentation.operations.operation import Operation


def blend(poorer: Tensor, images: Tensor, amounts: Tensor) -> Tensor:
    """Return uint8 poorer + amounts · (images − poorer), cut off to whole levels in 0..255."""
    start = poorer.float()
    return (start + amounts.float() * (images.float() - start)).clamp(0, 255).byte()


def grey(images: Tensor) -> Tensor:
    """Return the luma of images (N, H, W, 3) as int32 (N, H, W) in 0..255 (ITU-R 601-2, 16-bit weights)."""
    red, green, blue = images.int().unbind(-1)
    return (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16


def color_or_sharpness(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Return uint8 (N, H, W, 3): images whose operation (N,) is one of the two changed, the others as is."""

    def chosen(operation: Operation) -> Tensor:
        return (operations == operation)[:, None, None, None]

    color, sharpness = chosen(Operation.COLOR), chosen(Operation.SHARPNESS)
    poorer = torch.where(color, grey(images)[..., None], _smooth(images))
    amounts = torch.where(color | sharpness, magnitudes[:, None, None, None], 1)
    return blend(poorer, images, amounts)


def _smooth(images: Tensor) -> Tensor:
    """Average 3×3 pixels, the middle one five times; the outermost pixels stay."""
    if min(images.shape[1:3]) < 3:
        return images
    values = images.int()
    columns = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
    sums = columns[:, :, :-2] + columns[:, :, 1:-1] + columns[:, :, 2:] + 4 * values[:, 1:-1, 1:-1]
    smooth = images.clone()
    smooth[:, 1:-1, 1:-1] = ((2 * sums + 13) // 26).byte()
    return smooth
