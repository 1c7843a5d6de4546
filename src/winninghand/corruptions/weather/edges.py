"""Canny's edge detector, with OpenCV's gradients and tie rules."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.corruptions.filters import extended, replicated

# OpenCV compares directions in fixed point of 15 bits; this is tan 22.5°.
TANGENT = round(0.41421356237309505 * 2**15)


def canny_edges(layer: Tensor, low: int, high: int) -> Tensor:
    """Return where edges are, bool (N, H, W), of whole levels int32 (N, H, W) (Canny 1986).

    Sobel gradients with a replicated border and the magnitude |dx| + |dy|; a thinned edge pixel
    counts above `high`, or above `low` where it hangs together with one that counts.
    """
    across, down = _sobel(layer)
    magnitude = across.abs() + down.abs()
    thin = _is_peak(magnitude, across, down) & (magnitude > low)
    return _grown(thin & (magnitude > high), thin)


def _sobel(layer: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives along the columns and along the rows, each (N, H, W)."""
    padded = extended(extended(layer, 1, replicated, -1), 1, replicated, -2)
    upper, middle, lower = (_window(padded, row, slice(None)) for row in range(3))
    smooth = upper + 2 * middle + lower
    step = lower - upper
    across = smooth[..., 2:] - smooth[..., :-2]
    return across, step[..., :-2] + 2 * step[..., 1:-1] + step[..., 2:]


def _window(padded: Tensor, row: int, columns: slice) -> Tensor:
    """Return the rows of a padded plane that are shifted by `row` − 1."""
    return padded[..., row : padded.shape[-2] - 2 + row, columns]


def _is_peak(magnitude: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Return where the magnitude is largest along the gradient; outside the image it is 0."""
    height, width = magnitude.shape[-2:]
    padded = functional.pad(magnitude, (1, 1, 1, 1))

    def neighbour(row: int, column: int) -> Tensor:
        return padded[..., 1 + row : 1 + row + height, 1 + column : 1 + column + width]

    level = across.abs() * TANGENT
    steep = down.abs() * 2**15
    along_row = (magnitude > neighbour(0, -1)) & (magnitude >= neighbour(0, 1))
    along_column = (magnitude > neighbour(-1, 0)) & (magnitude >= neighbour(1, 0))
    falling = (magnitude > neighbour(-1, -1)) & (magnitude > neighbour(1, 1))
    rising = (magnitude > neighbour(-1, 1)) & (magnitude > neighbour(1, -1))
    slanted = torch.where((across ^ down) < 0, rising, falling)
    upright = torch.where(steep > level + across.abs() * 2**16, along_column, slanted)
    return torch.where(steep < level, along_row, upright)


def _grown(strong: Tensor, allowed: Tensor) -> Tensor:
    """Return all of `allowed` that hangs together with `strong`, diagonals included."""
    while True:
        near = functional.max_pool2d(strong[:, None].float(), 3, stride=1, padding=1)[:, 0] > 0
        grown = near & allowed
        if torch.equal(grown, strong):
            return strong
        strong = grown
