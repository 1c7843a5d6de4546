"""`lines`: straight grey lines across the image, smoothed as they are drawn."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import to_images, to_planes

LINES = (0.5, 1, 1.5, 2, 2.5)
GREY = 128


@corruption("lines", "occlusion", group="bar")
def lines(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Draw lines through random points, in directions about a common one."""
    strength = LINES[severity - 1]
    _, height, width, _ = images.shape
    count = max(1, int(min(height, width) * strength / 10))
    angles, spreads = rng.uniform(2).double().unbind(1)
    rows, columns, turns = rng.uniform(count, 3).double().unbind(2)
    spreads = 0.1 + 0.9 * spreads
    angles = 2 * math.pi * (angles[:, None] + spreads[:, None] * (turns - 0.5))
    return crossed(images, rows * height, columns * width, angles)


def crossed(images: Tensor, rows: Tensor, columns: Tensor, angles: Tensor) -> Tensor:
    """Return images with lines through the places `rows`, `columns`, at `angles`, all float64 (N, L).

    A line reaches as far as the shorter side to both ends. After each one the levels are truncated.
    """
    count, height, width, _ = images.shape
    down, across = (min(height, width) * part for part in (angles.cos(), angles.sin()))
    begin = torch.stack([rows - down, columns - across]).long()
    end = torch.stack([rows + down, columns + across]).long()
    cover = line_cover(begin, end, height, width)
    planes = to_planes(images, torch.float64)
    for weight in cover.view(count, -1, 1, height, width).unbind(1):
        planes = ((1 - weight) * planes).add_(weight, alpha=GREY).trunc_()
    return to_images(planes)


def line_cover(begin: Tensor, end: Tensor, height: int, width: int) -> Tensor:
    """Return how much of every pixel lines cover, float64 (…, H · W), 0 where they do not pass.

    `begin` and `end` are int64 (2, …), rows and columns, inside the image or not. Bresenham's
    algorithm with smoothed rims (Zingl 2012), for all lines at once, one step after the other.
    """
    down, across = (end - begin).abs()
    step_down, step_across = torch.where(begin < end, 1, -1)
    length = torch.where(down + across == 0, 1, torch.hypot(across.double(), down.double()))
    # Outside the image lies one place that is cut off in the end.
    outside = height * width
    cover = torch.zeros(*down.shape, outside + 1, dtype=torch.float64, device=begin.device)

    def emit(row: Tensor, column: Tensor, far: Tensor, seen: Tensor) -> None:
        inside = seen & (row >= 0) & (row < height) & (column >= 0) & (column < width)
        place = torch.where(inside, row * width + column, outside)
        cover.scatter_(-1, place[..., None], (1 - far.abs() / length)[..., None])

    row, column = begin
    error = across - down
    running = torch.ones_like(down, dtype=torch.bool)
    for _ in range(2 * min(height, width) + 2):
        emit(row, column, error - across + down, running)
        aside = 2 * error >= -across
        running = running & ~(aside & (column == end[1]))
        emit(row + step_down, column, error + down, running & aside & (error + down < length))
        ahead = 2 * error <= down
        running = running & ~(ahead & (row == end[0]))
        emit(row, column + step_across, across - error, running & ahead & (across - error < length))
        row, column = row + step_down * ahead, column + step_across * aside
        error = error - down * aside + across * ahead
    return cover[..., :outside]
