"""Spatter's loops over pixels of images in the CPU's memory, compiled; other devices compute by tensors.

Each gives the bits of the tensors' form.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from winninghand.base.compiled import compiled

BoolArray = npt.NDArray[np.bool_]
Int32Array = npt.NDArray[np.int32]
Float32Array = npt.NDArray[np.float32]


@compiled
def thin_edges(
    levels: Int32Array, low: int, high: int, tangent: int, thin: BoolArray, strong: BoolArray
) -> None:
    """Say of levels (N, H, W) which pixels are peaks of the gradient above `low`, and which above `high`.

    `tangent` is tan 22.5° in fixed point of 15 bits.
    """
    count, height, width = levels.shape
    smooth, step = np.empty(width + 2, np.int32), np.empty(width + 2, np.int32)
    across, down = np.empty((height, width), np.int32), np.empty((height, width), np.int32)
    # Outside the image it stays 0.
    magnitude = np.zeros((height + 2, width + 2), np.int32)
    for image in range(count):
        for row in range(height):
            upper, middle = levels[image, max(row - 1, 0)], levels[image, row]
            lower = levels[image, min(row + 1, height - 1)]
            for column in range(width):
                smooth[column + 1] = upper[column] + 2 * middle[column] + lower[column]
                step[column + 1] = lower[column] - upper[column]
            for line in (smooth, step):
                line[0], line[width + 1] = line[1], line[width]
            for column in range(width):
                across[row, column] = smooth[column + 2] - smooth[column]
                down[row, column] = step[column] + 2 * step[column + 1] + step[column + 2]
                magnitude[row + 1, column + 1] = abs(across[row, column]) + abs(down[row, column])
        for row in range(height):
            for column in range(width):
                here = magnitude[row + 1, column + 1]
                peak = here > low and is_peak(
                    magnitude, row + 1, column + 1, across[row, column], down[row, column], tangent
                )
                thin[image, row, column] = peak
                strong[image, row, column] = peak and here > high


@compiled
def is_peak(magnitude: Int32Array, row: int, column: int, across: int, down: int, tangent: int) -> bool:
    """Say whether the magnitude (H, W) is largest here along the gradient."""
    here = magnitude[row, column]
    level, steep = abs(across) * tangent, abs(down) * 2**15
    if steep < level:
        return bool(here > magnitude[row, column - 1] and here >= magnitude[row, column + 1])
    if steep > level + abs(across) * 2**16:
        return bool(here > magnitude[row - 1, column] and here >= magnitude[row + 1, column])
    side = 1 if across ^ down < 0 else -1
    return bool(here > magnitude[row - 1, column + side] and here > magnitude[row + 1, column - side])


@compiled
def grown_edges(strong: npt.NDArray[np.bool_], allowed: npt.NDArray[np.bool_]) -> None:
    """Add to `strong` (N, H, W) all of `allowed` that hangs together with it, diagonals included."""
    count, height, width = strong.shape
    stack = np.empty(height * width, np.int64)
    for image in range(count):
        waiting = 0
        for row in range(height):
            for column in range(width):
                if strong[image, row, column]:
                    stack[waiting] = row * width + column
                    waiting += 1
        while waiting > 0:
            waiting -= 1
            row, column = divmod(stack[waiting], width)
            for near in range(max(row - 1, 0), min(row + 2, height)):
                for beside in range(max(column - 1, 0), min(column + 2, width)):
                    if allowed[image, near, beside] and not strong[image, near, beside]:
                        strong[image, near, beside] = True
                        stack[waiting] = near * width + beside
                        waiting += 1


@compiled
def nearest_costs(marked: BoolArray, costs: Float32Array, largest: float, result: Float32Array) -> None:
    """Write the least cost of going to a marked pixel, at most `largest`, into `result` (N, H, W).

    `costs` (rows, W + 1) says what it costs to go so many rows and columns, at least one for each row.
    """
    count, height, width = result.shape
    beside = np.empty((height, width), np.int32)
    for image in range(count):
        for row in range(height):
            gaps_in_row(marked[image, row], beside[row])
        for row in range(height):
            for column in range(width):
                least = np.float32(largest)
                for rows in range(len(costs)):
                    if rows >= least:
                        break
                    if row + rows < height:
                        least = min(least, costs[rows, beside[row + rows, column]])
                    if row - rows >= 0:
                        least = min(least, costs[rows, beside[row - rows, column]])
                result[image, row, column] = least


@compiled
def gaps_in_row(marked: BoolArray, beside: Int32Array) -> None:
    """Write how many columns away the nearest marked pixel is, the width where there is none."""
    width = len(marked)
    gap = width
    for column in range(width):
        gap = 0 if marked[column] else min(gap + 1, width)
        beside[column] = gap
    gap = width
    for column in range(width - 1, -1, -1):
        gap = 0 if marked[column] else min(gap + 1, width)
        beside[column] = min(beside[column], gap)


@compiled
def shade(distances: Float32Array, result: Int32Array) -> None:
    """Write the light on drops into `result` (N, H, W), levels 0..255, by the distances to their edges."""
    count, height, width = result.shape
    near = np.empty((height + 2, width + 2), np.float32)
    relief = np.empty((height + 2, width + 2), np.int32)
    lit = np.empty((height + 2, width + 2), np.int32)
    for image in range(count):
        near[1:-1, 1:-1] = distances[image]
        mirror_border(near)
        for row in range(height):
            for column in range(width):
                total = np.float64(0)
                for line in range(row, row + 3):
                    for place in range(column, column + 3):
                        total += near[line, place]
                relief[row + 1, column + 1] = np.int32(total / 9)
        equalise(relief[1:-1, 1:-1])
        mirror_border(relief)
        for row in range(height):
            upper, middle, lower = relief[row], relief[row + 1], relief[row + 2]
            for column in range(width):
                light = middle[column + 1] + middle[column + 2] + lower[column + 1] + 2 * lower[column + 2]
                dark = middle[column] + upper[column + 1] + 2 * upper[column]
                lit[row + 1, column + 1] = min(max(light - dark, 0), 255)
        mirror_border(lit)
        for row in range(height):
            for column in range(width):
                whole = 0
                for line in range(row, row + 3):
                    for place in range(column, column + 3):
                        whole += lit[line, place]
                # Rounded: a ninth never lies halfway.
                result[image, row, column] = (whole + 4) // 9


@compiled
def mirror_border(padded: npt.NDArray[Any]) -> None:
    """Fill the outermost pixels of a plane (H, W) with those two steps inside."""
    padded[0], padded[-1] = padded[2], padded[-3]
    padded[:, 0], padded[:, -1] = padded[:, 2], padded[:, -3]


@compiled
def equalise(levels: Int32Array) -> None:
    """Spread levels (H, W) in 0..255 so that these are used evenly; one level only stays."""
    height, width = levels.shape
    pixels = height * width
    histogram = np.zeros(256, np.int64)
    for row in range(height):
        for column in range(width):
            histogram[levels[row, column]] += 1
    lowest = 0
    while histogram[lowest] == 0:
        lowest += 1
    if histogram[lowest] == pixels:
        return
    factor = np.float32(255) / np.float32(pixels - histogram[lowest])
    table = np.zeros(256, np.int32)
    above = 0
    for level in range(lowest + 1, 256):
        above += histogram[level]
        table[level] = np.int32(np.rint(np.float32(above) * factor))
    for row in range(height):
        for column in range(width):
            levels[row, column] = table[levels[row, column]]


@compiled
def add_film(
    images: npt.NDArray[np.uint8],
    film: Int32Array,
    level: float,
    colour: Float32Array,
    result: npt.NDArray[np.uint8],
) -> None:
    """Write images (N, H, W, C) with a film (N, H, W) of one colour, `level` of it where it is thickest."""
    count, height, width, channels = images.shape
    for image in range(count):
        factor = level / max(film[image].max(), 1)
        for row in range(height):
            for column in range(width):
                depth = np.float32(film[image, row, column] * factor)
                for channel in range(channels):
                    value = np.float32(images[image, row, column, channel]) + depth * colour[channel]
                    result[image, row, column, channel] = np.uint8(np.int32(min(max(value, 0), 255)))
