"""Fractal maps, which fog lays over images (Fournier, Fussell & Carpenter 1982)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.base.compiled import compiled
from winninghand.base.randomness import CounterRNG

FloatArray = npt.NDArray[np.floating[Any]]


def plasma(side: int, decay: float, rng: CounterRNG) -> Tensor:
    """Return fractal maps float32 (N, S, S), S the next power of two, each from exactly 0 to exactly 1.

    Diamond-square on a torus: every step puts in each new point the mean of its four neighbours and
    uniform noise, whose amplitude falls by decay².
    """
    amplitude = 1.0
    grid = rng.uniform(1, 1).zero_()
    while grid.shape[1] < side:
        noise = rng.uniform(3, *grid.shape[1:])
        grid = (_finer_by_loops if grid.device.type == "cpu" else _finer)(grid, noise, 2 * amplitude)
        amplitude /= decay**2
    lowest, highest = grid.amin((1, 2), keepdim=True), grid.amax((1, 2), keepdim=True)
    return grid.sub_(lowest).div_(highest - lowest)


def _finer(grid: Tensor, noise: Tensor, spread: float) -> Tensor:
    """Return maps (N, 2S, 2S) with the points of (N, S, S), noise (N, 3, S, S) in 0..1 on those between."""
    noise = noise.sub_(0.5).mul_(spread)
    rows = grid + grid.roll(-1, 1)
    columns = grid + grid.roll(-1, 2)
    centre = (rows + rows.roll(-1, 2)).div_(4).add_(noise[:, 0])
    right = (columns + centre + centre.roll(1, 1)).div_(4).add_(noise[:, 1])
    below = (rows + centre + centre.roll(1, 2)).div_(4).add_(noise[:, 2])
    return _interleaved(torch.stack([grid, right], 3), torch.stack([below, centre], 3))


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """Return (N, 2S, 2S) of rows (N, S, S, 2) that alternate."""
    count, side = even.shape[:2]
    return torch.stack([even, odd], 2).view(count, 2 * side, 2 * side)


def _finer_by_loops(grid: Tensor, noise: Tensor, spread: float) -> Tensor:
    count, side, _ = grid.shape
    result = torch.empty(count, 2 * side, 2 * side, dtype=grid.dtype)
    refine(grid.numpy(), noise.numpy(), spread, result.numpy())
    return result


@compiled
def refine(grid: FloatArray, noise: FloatArray, spread: float, result: FloatArray) -> None:
    """Write what `_finer` returns into `result`, in the same order of additions."""
    count, side, _ = grid.shape
    kind = grid.dtype.type
    quarter, half, scale = kind(0.25), kind(0.5), kind(spread)
    # The map is a torus: one point more behind each line's end, or before its beginning.
    line, rows = np.empty(side + 1, grid.dtype), np.empty(side + 1, grid.dtype)
    centres = np.empty((side, side + 1), grid.dtype)
    for image in range(count):
        for row in range(side):
            upper, lower = grid[image, row], grid[image, (row + 1) % side]
            drawn, centre = noise[image, 0, row], centres[row]
            for column in range(side):
                rows[column] = upper[column] + lower[column]
            rows[side] = rows[0]
            for column in range(side):
                mean = (rows[column] + rows[column + 1]) * quarter
                centre[column + 1] = mean + (drawn[column] - half) * scale
            centre[0] = centre[side]
        for row in range(side):
            upper, lower = grid[image, row], grid[image, (row + 1) % side]
            above, centre = centres[(row - 1) % side], centres[row]
            line[:side], line[side] = upper, upper[0]
            even, odd = result[image, 2 * row], result[image, 2 * row + 1]
            drawn = noise[image, 1, row]
            for column in range(side):
                mean = (line[column] + line[column + 1] + centre[column + 1] + above[column + 1]) * quarter
                even[2 * column] = line[column]
                even[2 * column + 1] = mean + (drawn[column] - half) * scale
            drawn = noise[image, 2, row]
            for column in range(side):
                mean = (line[column] + lower[column] + centre[column + 1] + centre[column]) * quarter
                odd[2 * column] = mean + (drawn[column] - half) * scale
                odd[2 * column + 1] = centre[column + 1]


@compiled
def add_haze(
    images: npt.NDArray[np.uint8], haze: FloatArray, strength: float, result: npt.NDArray[np.uint8]
) -> None:
    """Write images (N, H, W, C) with haze on them, darkened so that the brightest value stays.

    Of the maps (N, S, S) in 0..1 it takes the first H rows and W columns, `strength` levels thick.
    """
    count, height, width, channels = images.shape
    kind = haze.dtype.type
    thickness = kind(strength)
    for image in range(count):
        brightest = kind(images[image].max())
        kept = brightest / (brightest + thickness)
        for row in range(height):
            for column in range(width):
                veil = haze[image, row, column] * thickness
                for channel in range(channels):
                    level = (kind(images[image, row, column, channel]) + veil) * kept
                    result[image, row, column, channel] = np.uint8(np.int32(min(level, kind(255))))
