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
Float32Array = npt.NDArray[np.float32]
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
TRANSLATE_X = int(Operation.TRANSLATE_X)

compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def mix(
    start: int,
    stop: int,
    images: UInt8Array,
    operations: Int64Array,
    magnitudes: Float64Array,
    maps: Float64Array,
    shares: Float32Array,
    mixtures: Float32Array,
) -> None:
    """Fill `mixtures` (V, B, H, W, 3) for images start .. stop − 1, from chains (B, V, W, K) and shares.

    Whole arrays and a range, rather than parts of them: they are contiguous, and known to be.
    """
    _, views, chains, _ = operations.shape
    buffers = np.empty((2, *images.shape[1:]), np.uint8)
    for i in range(start, stop):
        for j in range(views):
            mixture = mixtures[j, i].ravel()
            mixture[:] = 0
            _add(shares[i, j, 0], images[i], mixture)
            for k in range(chains):
                share = shares[i, j, 1 + k]
                if share != 0:
                    _copy(images[i], buffers[0])
                    end = _chain(buffers, operations[i, j, k], magnitudes[i, j, k], maps[i, j, k])
                    _add(share, buffers[end], mixture)
            for place in range(len(mixture)):
                mixture[place] = min(mixture[place] / np.float32(255), np.float32(1))


@compiled
def _add(share: np.float32, image: UInt8Array, mixture: Float32Array) -> None:
    levels = image.ravel()
    for place in range(len(levels)):
        mixture[place] += share * np.float32(levels[place])


@compiled
def _chain(buffers: UInt8Array, operations: Int64Array, magnitudes: Float64Array, maps: Float64Array) -> int:
    """Do the operations in turn on the image in the first buffer; return which one it ends in."""
    table = np.empty((3, 256), np.uint8)
    here = 0
    for step in range(len(operations)):
        operation, amount = operations[step], magnitudes[step]
        image, spare = buffers[here], buffers[1 - here]
        if operation >= ROTATE:
            if operation >= TRANSLATE_X and amount == np.floor(amount):
                _shift(image, int(maps[step, 0, 2]), int(maps[step, 1, 2]), spare)
            else:
                _warp(image, maps[step], spare)
            here = 1 - here
        elif operation == SHARPNESS:
            _sharpen(image, np.float32(amount), spare)
            here = 1 - here
        elif operation == COLOR:
            _color(image, np.float32(amount))
        elif operation > 0:
            _fill_table(image, operation, amount, table)
            _look_up(image, table)
    return here


@compiled
def _copy(image: UInt8Array, out: UInt8Array) -> None:
    # Several times faster than `out[:] = image`, which Numba does not make one move of memory.
    source, target = image.ravel(), out.ravel()
    for place in range(len(source)):
        target[place] = source[place]


@compiled
def _shift(image: UInt8Array, left: int, up: int, out: UInt8Array) -> None:
    """Do what `_warp` does for a translation by whole pixels."""
    height, width, _ = image.shape
    source, target = image.ravel(), out.ravel()
    target[:] = 0
    first, last = 3 * max(-left, 0), 3 * min(width - left, width)
    for row in range(max(-up, 0), min(height - up, height)):
        here, there = 3 * row * width, 3 * ((row + up) * width + left)
        for place in range(first, last):
            target[here + place] = source[there + place]


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
    """Write one pixel at `place` of the target, between four corners of the source."""
    for number in range(3):
        channel = np.uint64(number)
        value = _between(source[corners[0] + channel], source[corners[1] + channel], across)
        # Half of the work, which shears along rows do not need.
        if down != 0:
            lower = _between(source[corners[2] + channel], source[corners[3] + channel], across)
            value += (lower - value) * down
        target[place + channel] = np.uint8(np.int32(value))


@compiled
def _between(start: int, end: int, fraction: float) -> float:
    return np.float64(start) + np.float64(np.int32(end) - np.int32(start)) * fraction


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
