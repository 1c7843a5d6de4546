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
        planes.mul_(1 - weight).add_(weight, alpha=GREY).trunc_()
    return to_images(planes)


def line_cover(begin: Tensor, end: Tensor, height: int, width: int) -> Tensor:
    """Return how much of every pixel lines cover, float64 (…, H · W), 0 where they do not pass.

    `begin` and `end` are int64 (2, …), rows and columns, inside the image or not. Bresenham's
    algorithm with smoothed rims (Zingl 2012) for all lines at once: first all steps, one after the
    other, then what they draw.
    """
    down, across = (end - begin).abs()
    step_down, step_across = torch.where(begin < end, 1, -1)
    nothing = torch.zeros_like(down)
    doubled = 2 * (across - down)
    doubles, asides, aheads = [], [], []
    for _ in range(2 * min(height, width) + 2):
        aside, ahead = doubled >= -across, doubled <= down
        doubles.append(doubled)
        asides.append(aside)
        aheads.append(ahead)
        doubled = doubled - torch.where(aside, 2 * down, nothing) + torch.where(ahead, 2 * across, nothing)
    error, aside, ahead = torch.stack(doubles) // 2, torch.stack(asides), torch.stack(aheads)
    row = begin[0] + step_down * (ahead.cumsum(0) - ahead.long())
    column = begin[1] + step_across * (aside.cumsum(0) - aside.long())

    # A line ends at its last column, or at its last row; what it would draw after that is left out.
    last_column = aside & (column == end[1])
    ends = last_column | (ahead & (row == end[0]))
    running = ends.cumsum(0) - ends.long() == 0
    length = torch.hypot(across.double(), down.double()).clamp_(min=1)
    after, beside = error + down, across - error
    rows = torch.stack([row, row + step_down, row])
    columns = torch.stack([column, column, column + step_across])
    far = torch.stack([error - across + down, after, beside])
    drawn = torch.stack(
        [
            running,
            running & aside & ~last_column & (after < length),
            running & ahead & ~ends & (beside < length),
        ]
    )
    inside = drawn & (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    # Outside the image lies one place that is cut off in the end.
    outside = height * width
    places = torch.where(inside, rows * width + columns, outside)
    weights = 1 - far.abs() / length
    cover = torch.zeros(*down.shape, outside + 1, dtype=torch.float64, device=begin.device)
    cover.scatter_(-1, *(part.flatten(0, 1).movedim(0, -1) for part in (places, weights)))
    return cover[..., :outside]
