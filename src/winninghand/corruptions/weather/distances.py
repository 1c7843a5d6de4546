"""Distances to the nearest marked pixel, in the metric of OpenCV's 5 × 5 mask."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

# What a step costs to the side, diagonally, and like a chess knight (Borgefors 1986).
STRAIGHT, DIAGONAL, KNIGHT = 1.0, 1.4, 2.1969


def chamfer_distances(marked: Tensor, largest: float) -> Tensor:
    """Return float32 (N, H, W): each pixel's distance to the nearest of `marked`, at most `largest`.

    For a given number of rows between them, the nearest marked pixel of a row is also the cheapest
    to reach; so it is enough to know that one in each row, and to compare the rows.
    """
    height = marked.shape[1]
    beside = _distances_in_row(marked)
    result = torch.full(marked.shape, largest, dtype=torch.float32, device=marked.device)
    for rows in range(min(int(largest), height - 1) + 1):
        costs = _costs(rows, marked.shape[2]).to(marked.device)
        reached = costs.index_select(0, beside.flatten()).view_as(result)
        kept = height - rows
        result[:, :kept] = torch.minimum(result[:, :kept], reached[:, rows:])
        result[:, rows:] = torch.minimum(result[:, rows:], reached[:, :kept])
    return result


def _distances_in_row(marked: Tensor) -> Tensor:
    """Return how many columns away the nearest marked pixel of a row is, int64, W where there is none."""
    width = marked.shape[2]
    columns = torch.arange(width, device=marked.device)
    before = torch.where(marked, columns, -width).cummax(2).values
    after = torch.where(marked, columns, 2 * width).flip(2).cummin(2).values.flip(2)
    return torch.minimum(columns - before, after - columns).clamp_(max=width)


@cache
def _costs(rows: int, width: int) -> Tensor:
    """Return the cost of going `rows` down and 0 .. W − 1 columns aside; the last entry, W, is infinite."""
    aside = torch.arange(width).float()
    far, near = aside.clamp(min=rows), aside.clamp(max=rows)
    flat = (far - 2 * near) * STRAIGHT + near * KNIGHT
    steep = (2 * near - far) * DIAGONAL + (far - near) * KNIGHT
    return torch.cat([torch.where(far >= 2 * near, flat, steep), torch.tensor([torch.inf])])
