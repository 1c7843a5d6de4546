"""Geometric operations: one affine map per image, and bilinear sampling along it."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.augmentation.operations.operation import Operation


def affine_maps(operations: Tensor, magnitudes: Tensor, height: int, width: int) -> Tensor:
    """Return the maps (…, 2, 3), float64, from output to input coordinates in pixels.

    Operations without a geometry, of the same shape (…) as the magnitudes, get the identity.
    """
    amounts = magnitudes.double()
    zero = torch.zeros_like(amounts)

    def only(operation: Operation) -> Tensor:
        return torch.where(operations == operation, amounts, zero)

    angles = only(Operation.ROTATE).remainder(360).deg2rad()
    # As in Pillow, down to the order of sums below: sin 30° is ½ without its last digit.
    cosine, sine = angles.cos().round(decimals=15), angles.sin().round(decimals=15)
    x, y = width / 2, height / 2
    across = torch.stack(
        [
            cosine,
            only(Operation.SHEAR_X) - sine,
            only(Operation.TRANSLATE_X) + (sine * y - cosine * x + x),
        ],
        dim=-1,
    )
    down = torch.stack(
        [
            only(Operation.SHEAR_Y) + sine,
            cosine,
            only(Operation.TRANSLATE_Y) + (-sine * x - cosine * y + y),
        ],
        dim=-1,
    )
    return torch.stack([across, down], dim=-2)


def warp(images: Tensor, maps: Tensor) -> Tensor:
    """Return uint8 (N, H, W, 3): each image read at the places its map (N, 2, 3) points to.

    As in Pillow, pixel centres lie at halves, borders are repeated for half a pixel, everything
    beyond is black, and fractions of a level are cut off.
    """
    count, height, width, _ = images.shape
    across = torch.arange(width, device=images.device, dtype=maps.dtype) + 0.5
    down = torch.arange(height, device=images.device, dtype=maps.dtype)[:, None] + 0.5
    a, b, c, d, e, f = maps.flatten(1).T[:, :, None, None]
    x = a * across + b * down + c
    y = d * across + e * down + f
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x - 0.5, y - 0.5
    left, top = x.floor(), y.floor()
    batch = torch.arange(count, device=images.device)[:, None, None]
    columns = [(left + step).long().clamp(0, width - 1) for step in (0, 1)]

    def row(vertical: Tensor) -> Tensor:
        rows = vertical.long().clamp(0, height - 1)
        first, second = (images[batch, rows, column].double() for column in columns)
        return _between(first, second, x - left)

    upper, lower = row(top), row(top + 1)
    return _between(upper, lower, y - top).mul_(inside[..., None]).byte()


def _between(start: Tensor, end: Tensor, fraction: Tensor) -> Tensor:
    # In this order, which torch.lerp leaves above a half, to the last bit as Pillow does.
    return start + (end - start) * fraction[..., None]
