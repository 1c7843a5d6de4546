"""The operations for the CPU, compiled by Numba: one image at a time, in two buffers that stay in the cache.

The kernel holds no lock of the interpreter and starts no threads of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from winninghand.augmentation.operations.operation import Operation

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

AUTOCONTRAST = int(Operation.AUTOCONTRAST)
EQUALIZE = int(Operation.EQUALIZE)
POSTERIZE = int(Operation.POSTERIZE)
SOLARIZE = int(Operation.SOLARIZE)
BRIGHTNESS = int(Operation.BRIGHTNESS)
CONTRAST = int(Operation.CONTRAST)
COLOR = int(Operation.COLOR)
SHARPNESS = int(Operation.SHARPNESS)
ROTATE = int(Operation.ROTATE)

compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def render(
    images: UInt8Array,
    operations: Int64Array,
    magnitudes: Float64Array,
    maps: Float64Array,
    rendered: UInt8Array,
) -> None:
    """Fill `rendered`, uint8 (B, R, H, W, 3), with each image after its operations (B, R, K)."""
    count, renderings, steps = operations.shape
    table = np.empty((3, 256), np.uint8)
    current = np.empty_like(images[0])
    spare = np.empty_like(current)
    for i in range(count):
        for j in range(renderings):
            _copy(images[i], current)
            for k in range(steps):
                operation, amount = operations[i, j, k], magnitudes[i, j, k]
                if operation >= ROTATE:
                    _warp(current, maps[i, j, k], spare)
                    current, spare = spare, current
                elif operation == SHARPNESS:
                    _sharpen(current, np.float32(amount), spare)
                    current, spare = spare, current
                elif operation == COLOR:
                    _color(current, np.float32(amount))
                elif operation > 0:
                    _fill_table(current, operation, amount, table)
                    _look_up(current, table)
            _copy(current, rendered[i, j])


@compiled
def _copy(image: UInt8Array, out: UInt8Array) -> None:
    # Several times faster than `out[:] = image`, which Numba does not make one move of memory.
    source, target = image.ravel(), out.ravel()
    for place in range(len(source)):
        target[place] = source[place]


@compiled
def _warp(image: UInt8Array, matrix: Float64Array, out: UInt8Array) -> None:
    height, width, _ = image.shape
    (a, b, c), (d, e, f) = matrix[0], matrix[1]
    source, target = image.ravel(), out.ravel()
    for row in range(height):
        for column in range(width):
            x = a * (column + 0.5) + b * (row + 0.5) + c
            y = d * (column + 0.5) + e * (row + 0.5) + f
            # Unsigned places spare Numba's check for indices that count from the end.
            place = np.uint64(3 * (row * width + column))
            if x < 0 or x >= width or y < 0 or y >= height:
                for channel in range(3):
                    target[place + np.uint64(channel)] = 0
                continue
            left, top = int(np.floor(x - 0.5)), int(np.floor(y - 0.5))
            x0, x1 = max(left, 0), min(left + 1, width - 1)
            y0, y1 = max(top, 0) * width, min(top + 1, height - 1) * width
            corners = (
                np.uint64(3 * (y0 + x0)),
                np.uint64(3 * (y0 + x1)),
                np.uint64(3 * (y1 + x0)),
                np.uint64(3 * (y1 + x1)),
            )
            _interpolate(source, corners, x - 0.5 - left, y - 0.5 - top, target, place)


@compiled
def _interpolate(
    source: UInt8Array,
    corners: tuple[np.uint64, ...],
    across: float,
    down: float,
    target: UInt8Array,
    place: np.uint64,
) -> None:
    """Write one pixel; whole offsets, as in translations and half of a shear, are quicker."""
    for number in range(3):
        channel = np.uint64(number)
        value = float(source[corners[0] + channel])
        if across != 0:
            value += (float(source[corners[1] + channel]) - value) * across
        if down != 0:
            lower = float(source[corners[2] + channel])
            if across != 0:
                lower += (float(source[corners[3] + channel]) - lower) * across
            value += (lower - value) * down
        target[place + channel] = np.uint8(np.int32(value))


@compiled
def _blend(poorer: int, level: int, amount: np.float32) -> np.uint8:
    start = np.float32(poorer)
    value = start + amount * (np.float32(level) - start)
    return np.uint8(min(max(value, np.float32(0)), np.float32(255)))


@compiled
def _grey(pixel: UInt8Array) -> int:
    return (int(pixel[0]) * 19595 + int(pixel[1]) * 38470 + int(pixel[2]) * 7471 + 32768) >> 16


@compiled
def _color(image: UInt8Array, amount: np.float32) -> None:
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            grey = _grey(image[row, column])
            for channel in range(3):
                image[row, column, channel] = _blend(grey, image[row, column, channel], amount)


@compiled
def _sharpen(image: UInt8Array, amount: np.float32, out: UInt8Array) -> None:
    height, width, _ = image.shape
    _copy(image, out)
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            for channel in range(3):
                total = 4 * int(image[row, column, channel])
                for y in range(row - 1, row + 2):
                    for x in range(column - 1, column + 2):
                        total += int(image[y, x, channel])
                out[row, column, channel] = _blend(
                    (2 * total + 13) // 26, image[row, column, channel], amount
                )


@compiled
def _look_up(image: UInt8Array, table: UInt8Array) -> None:
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            for channel in range(3):
                image[row, column, channel] = table[channel, image[row, column, channel]]


@compiled
def _fill_table(image: UInt8Array, operation: int, amount: float, table: UInt8Array) -> None:
    if operation in (AUTOCONTRAST, EQUALIZE):
        _fill_table_by_histogram(image, operation, table)
        return
    poorer = _mean_grey(image) if operation == CONTRAST else 0
    dropped = 8 - min(max(int(amount), 0), 8)
    for level in range(256):
        if operation == POSTERIZE:
            value = np.uint8((level >> dropped) << dropped)
        elif operation == SOLARIZE:
            value = np.uint8(level if level < amount else 255 - level)
        else:
            value = _blend(poorer, level, np.float32(amount))
        table[:, level] = value


@compiled
def _mean_grey(image: UInt8Array) -> int:
    total = 0
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            total += _grey(image[row, column])
    return int(total / (image.shape[0] * image.shape[1]) + 0.5)


@compiled
def _fill_table_by_histogram(image: UInt8Array, operation: int, table: UInt8Array) -> None:
    histograms = np.zeros((3, 256), np.int64)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            for channel in range(3):
                histograms[channel, image[row, column, channel]] += 1
    for channel in range(3):
        lowest, highest = 0, 255
        while histograms[channel, lowest] == 0:
            lowest += 1
        while histograms[channel, highest] == 0:
            highest -= 1
        if operation == AUTOCONTRAST:
            _stretch(lowest, highest, table[channel])
        else:
            _equalize(histograms[channel], highest, table[channel])


@compiled
def _stretch(lowest: int, highest: int, table: UInt8Array) -> None:
    scale = 255.0 / max(highest - lowest, 1)
    for level in range(256):
        stretched = min(max(level * scale - lowest * scale, 0.0), 255.0)
        table[level] = np.uint8(stretched) if highest > lowest else level


@compiled
def _equalize(histogram: Int64Array, highest: int, table: UInt8Array) -> None:
    step = (histogram.sum() - histogram[highest]) // 255
    rank = step // 2
    for level in range(256):
        table[level] = min(rank // step, 255) if step > 0 else level
        rank += histogram[level]
