"""Loops over pixels of images in the CPU's memory, compiled; other devices compute the same by tensors.

Each adds in the order of the tensors' form, so that it gives the same bits. What is added up stays in a
row's buffer, which the processor's nearest cache holds: many taps cost little more than one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from winninghand.base.compiled import compiled

FloatArray = npt.NDArray[np.floating[Any]]
Int64Array = npt.NDArray[np.int64]


@compiled
def blurred_down(padded: FloatArray, kernel: FloatArray, result: FloatArray) -> None:
    """Blur (P, H + 2 · radius, W) along the rows' axis into `result` (P, H, W) by a symmetric kernel.

    From the outside inwards, as SciPy adds. Lines of small images are short: a call for each would cost more.
    """
    radius = len(kernel) // 2
    count, height, width = result.shape
    for plane in range(count):
        for row in range(height):
            total = result[plane, row]
            centre = padded[plane, row + radius]
            weight = kernel[radius]
            for column in range(width):
                total[column] = centre[column] * weight
            for reach in range(radius, 0, -1):
                above, below = padded[plane, row + radius - reach], padded[plane, row + radius + reach]
                weight = kernel[radius - reach]
                for column in range(width):
                    total[column] += (above[column] + below[column]) * weight


@compiled
def blurred_across(padded: FloatArray, kernel: FloatArray, result: FloatArray) -> None:
    """Blur (P, H, W + 2 · radius) along the columns' axis into `result` (P, H, W)."""
    radius = len(kernel) // 2
    count, height, width = result.shape
    for plane in range(count):
        for row in range(height):
            total, source = result[plane, row], padded[plane, row]
            weight = kernel[radius]
            for column in range(width):
                total[column] = source[column + radius] * weight
            for reach in range(radius, 0, -1):
                before, after = source[radius - reach :], source[radius + reach :]
                weight = kernel[radius - reach]
                for column in range(width):
                    total[column] += (before[column] + after[column]) * weight


@compiled
def soften(
    images: npt.NDArray[np.uint8], kernel: npt.NDArray[np.float64], result: npt.NDArray[np.uint8]
) -> None:
    """Blur images (N, H, W, C) along both axes by a symmetric kernel, the edges replicated.

    In the unit range, as the benchmark has it, and down before across: the order decides ties. Only as many
    rows as the kernel is long are ever kept as fractions.
    """
    count, height, width, channels = images.shape
    length, span, radius = width * channels, len(kernel), len(kernel) // 2
    margin = radius * channels
    fractions = np.empty((span, length), np.float64)
    longer = np.empty(length + 2 * margin, np.float64)
    inner, blurred = longer[margin : margin + length], np.empty(length, np.float64)
    for image in range(count):
        for row in range(-radius, height):
            if row + radius < height:
                coming = images[image, row + radius].reshape(length)
                line = fractions[(row + radius) % span]
                for place in range(length):
                    line[place] = coming[place] / 255
            if row < 0:
                continue
            weigh(inner, fractions[row % span], kernel[radius])
            for reach in range(radius, 0, -1):
                above = fractions[max(row - reach, 0) % span]
                below = fractions[min(row + reach, height - 1) % span]
                add_pair(inner, above, below, kernel[radius - reach])
            for place in range(margin):
                longer[place] = inner[place % channels]
                longer[margin + length + place] = inner[length - channels + place % channels]
            weigh(blurred, inner, kernel[radius])
            for reach in range(radius, 0, -1):
                before, after = longer[margin - reach * channels :], longer[margin + reach * channels :]
                add_pair(blurred, before, after, kernel[radius - reach])
            levels = result[image, row].reshape(length)
            for place in range(length):
                levels[place] = np.uint8(np.int32(min(max(blurred[place] * 255, 0.0), 255.0)))


@compiled
def weigh(total: FloatArray, line: FloatArray, weight: float) -> None:
    """Write a line, as far as `total` is long, times a weight."""
    for place in range(len(total)):
        total[place] = line[place] * weight


@compiled
def add_pair(total: FloatArray, before: FloatArray, after: FloatArray, weight: float) -> None:
    """Add the sum of two lines, as far as `total` is long, times a weight."""
    for place in range(len(total)):
        total[place] += (before[place] + after[place]) * weight


@compiled
def smeared(
    padded: FloatArray,
    down: Int64Array,
    across: Int64Array,
    weights: FloatArray,
    reach: int,
    result: npt.NDArray[np.uint8],
) -> None:
    """Sum the taps of streaks over (N, H + 2 · reach, …, C) into `result` (N, H, W, C), cut to 8 bits.

    `down` and `across` are (N, taps): how many rows and columns away each tap lies.
    """
    count, height, width, channels = result.shape
    length = width * channels
    total = np.empty(length, np.float64)
    for image in range(count):
        for row in range(height):
            total[:] = 0
            for tap in range(len(weights)):
                begin = (reach + across[image, tap]) * channels
                source = padded[image, row + reach + down[image, tap], begin : begin + length]
                weight = weights[tap]
                for place in range(length):
                    total[place] += source[place] * weight
            pixels = result[image, row].reshape(length)
            for place in range(length):
                quantum = np.floor(total[place] * 257 + 0.5)
                pixels[place] = np.uint8(np.int32(quantum / 257))


@compiled
def mirror_around(images: npt.NDArray[np.uint8], reach: int, padded: npt.NDArray[np.float32]) -> None:
    """Write images (N, H, W, C) as planes (N · C, H + 2 · reach, W + 2 · reach), mirrored at the edges."""
    count, height, width, channels = images.shape
    for image in range(count):
        for row in range(-reach, height + reach):
            source = images[image, height - 1 - abs(height - 1 - abs(row))]
            for channel in range(channels):
                line = padded[image * channels + channel, row + reach]
                for column in range(width):
                    line[reach + column] = source[column, channel]
                for step in range(1, reach + 1):
                    line[reach - step] = line[reach + step]
                    line[reach + width - 1 + step] = line[reach + width - 1 - step]


@compiled
def disk_sums(padded: npt.NDArray[np.float32], halves: Int64Array, sums: npt.NDArray[np.float64]) -> None:
    """Sum over a disk about every pixel, exactly: runs of its rows, of which the ends' prefix sums differ.

    `padded` (P, H + 2 · radius, W + 2 · radius) are whole levels; `halves` (2 · radius + 1,) say how far each
    of the disk's rows reaches to both sides.
    """
    radius = len(halves) // 2
    count, height, width = sums.shape
    prefix = np.zeros((padded.shape[1], padded.shape[2] + 1), np.int32)
    total = np.empty(width, np.int32)
    for plane in range(count):
        for row in range(len(prefix)):
            left = np.int32(0)
            for column in range(padded.shape[2]):
                left += np.int32(padded[plane, row, column])
                prefix[row, column + 1] = left
        for row in range(height):
            total[:] = 0
            for place in range(len(halves)):
                line = prefix[row + place]
                before, after = line[radius - halves[place] :], line[radius + halves[place] + 1 :]
                for column in range(width):
                    total[column] += after[column] - before[column]
            for column in range(width):
                sums[plane, row, column] = total[column]


@compiled
def add_taps(
    padded: npt.NDArray[np.float32],
    down: Int64Array,
    across: Int64Array,
    weights: npt.NDArray[np.float32],
    result: npt.NDArray[np.float64],
) -> None:
    """Add weighted pixels of (P, H + …, W + …) to `result` (P, H, W); places count from its corner.

    The number of taps is a multiple of four: so many are added up before a sum is stored.
    """
    count, height, width = result.shape
    total = np.empty(width, np.float32)
    for plane in range(count):
        for row in range(height):
            total[:] = 0
            for tap in range(0, len(weights), 4):
                first = padded[plane, row + down[tap], across[tap] :]
                second = padded[plane, row + down[tap + 1], across[tap + 1] :]
                third = padded[plane, row + down[tap + 2], across[tap + 2] :]
                fourth = padded[plane, row + down[tap + 3], across[tap + 3] :]
                one, two, three, four = weights[tap], weights[tap + 1], weights[tap + 2], weights[tap + 3]
                for column in range(width):
                    value = total[column] + first[column] * one + second[column] * two
                    total[column] = value + third[column] * three + fourth[column] * four
            for column in range(width):
                result[plane, row, column] += total[column]


@compiled
def copy_around(images: npt.NDArray[np.uint8], drawn: Int64Array, reach: int) -> None:
    """Copy pixels of `images` (N, H, W, 3) within it, from the last that moves to the first.

    `drawn` (N, 2, H, W) in 0 .. 2 · reach − 1 says from where: 0 from `reach` − 1 rows below and columns
    after, the largest from `reach` rows above and columns before.
    """
    count, height, width, channels = images.shape
    for image in range(count):
        for row in range(height - reach, reach, -1):
            for column in range(width - reach, reach, -1):
                there = row + reach - 1 - drawn[image, 0, row, column]
                beside = column + reach - 1 - drawn[image, 1, row, column]
                for channel in range(channels):
                    images[image, row, column, channel] = images[image, there, beside, channel]


@compiled
def add_zoomed(
    planes: FloatArray,
    rows: Int64Array,
    row_shares: FloatArray,
    columns: Int64Array,
    column_shares: FloatArray,
    result: FloatArray,
) -> None:
    """Add planes (P, H, W) read between their pixels to `result`, once for each zoom.

    `rows` and `row_shares` (zooms, height) say which row a result's row lies behind and how far, the
    others the same of columns (zooms, width).
    """
    count, height, width = result.shape
    line = np.empty(planes.shape[2], planes.dtype)
    for plane in range(count):
        for zoom in range(len(rows)):
            places, shares = columns[zoom], column_shares[zoom]
            for row in range(height):
                upper = planes[plane, rows[zoom, row]]
                lower = planes[plane, rows[zoom, row] + 1]
                share = row_shares[zoom, row]
                for column in range(len(line)):
                    line[column] = upper[column] + (lower[column] - upper[column]) * share
                total = result[plane, row]
                for column in range(width):
                    left = line[places[column]]
                    total[column] += left + (line[places[column] + 1] - left) * shares[column]
