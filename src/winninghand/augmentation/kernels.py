"""The operations for the CPU, compiled: one image at a time, in two buffers that stay in the cache."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from winninghand.augmentation.operations import Operation
from winninghand.base.compiled import compiled

Bytes = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Place = np.uint64
Pair = tuple[Place, Place]


@compiled
def mix(
    start: int,
    stop: int,
    images: Bytes,
    operations: Int64Array,
    magnitudes: Float64Array,
    maps: Float64Array,
    shares: Float32Array,
    mixtures: Float32Array,
) -> None:
    """Fill `mixtures` (V, B, H, W, 3) for images start .. stop − 1, from chains (B, V, W, K) and shares.

    Whole arrays and a range, not parts of them: Numba must know that they are contiguous.
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
def _add(share: np.float32, image: Bytes, mixture: Float32Array) -> None:
    levels = image.ravel()
    for place in range(len(levels)):
        mixture[place] += share * np.float32(levels[place])


@compiled
def _chain(buffers: Bytes, operations: Int64Array, magnitudes: Float64Array, maps: Float64Array) -> int:
    """Do the operations in turn on the image in the first buffer; return which one it ends in."""
    table = np.empty((3, 256), np.uint8)
    here = 0
    for step in range(len(operations)):
        operation, amount = operations[step], magnitudes[step]
        image, spare = buffers[here], buffers[1 - here]
        if operation >= Operation.ROTATE:
            if operation >= Operation.TRANSLATE_X and amount == np.floor(amount):
                _shift(image, int(maps[step, 0, 2]), int(maps[step, 1, 2]), spare)
            else:
                _warp(image, maps[step], spare)
            here = 1 - here
        elif operation == Operation.SHARPNESS:
            _sharpen(image, np.float32(amount), spare)
            here = 1 - here
        elif operation == Operation.COLOR:
            _color(image, np.float32(amount))
        elif operation != Operation.IDENTITY:
            _fill_table(image, operation, amount, table)
            _look_up(image, table)
    return here


@compiled
def _copy(image: Bytes, out: Bytes) -> None:
    # Several times faster than `out[:] = image`, which Numba does not make one move of memory.
    source, target = image.ravel(), out.ravel()
    for place in range(len(source)):
        target[place] = source[place]


@compiled
def _shift(image: Bytes, left: int, up: int, out: Bytes) -> None:
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
def _warp(image: Bytes, matrix: Float64Array, out: Bytes) -> None:
    height, width, _ = image.shape
    (a, b, c), (d, e, f) = matrix[0], matrix[1]
    source, target = image.ravel(), out.ravel()
    for row in range(height):
        for column in range(width):
            x = a * (column + 0.5) + b * (row + 0.5) + c
            y = d * (column + 0.5) + e * (row + 0.5) + f
            # Unsigned places spare Numba's check for indices that count from the end.
            place = Place(3 * (row * width + column))
            if x < 0 or x >= width or y < 0 or y >= height:
                for channel in range(3):
                    target[place + Place(channel)] = 0
                continue
            left, top = int(np.floor(x - 0.5)), int(np.floor(y - 0.5))
            x0, x1 = max(left, 0), min(left + 1, width - 1)
            y0, y1 = max(top, 0) * width, min(top + 1, height - 1) * width
            upper = Place(3 * (y0 + x0)), Place(3 * (y0 + x1))
            lower = Place(3 * (y1 + x0)), Place(3 * (y1 + x1))
            _interpolate(source, upper, lower, x - 0.5 - left, y - 0.5 - top, target, place)


@compiled
def _interpolate(
    source: Bytes, upper: Pair, lower: Pair, across: float, down: float, target: Bytes, place: Place
) -> None:
    for number in range(3):
        channel = Place(number)
        value = _between(source[upper[0] + channel], source[upper[1] + channel], across)
        # Half of the work, which shears along rows do not need.
        if down != 0:
            below = _between(source[lower[0] + channel], source[lower[1] + channel], across)
            value += (below - value) * down
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
def _grey(pixel: Bytes) -> int:
    return (int(pixel[0]) * 19595 + int(pixel[1]) * 38470 + int(pixel[2]) * 7471 + 32768) >> 16


@compiled
def _color(image: Bytes, amount: np.float32) -> None:
    for pixel in image.reshape(-1, 3):
        grey = _grey(pixel)
        for channel in range(3):
            pixel[channel] = _blend(grey, pixel[channel], amount)


@compiled
def _sharpen(image: Bytes, amount: np.float32, out: Bytes) -> None:
    height, width, _ = image.shape
    _copy(image, out)
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            for channel in range(3):
                total = 4 * int(image[row, column, channel])
                for y in range(row - 1, row + 2):
                    for x in range(column - 1, column + 2):
                        total += int(image[y, x, channel])
                smooth = (2 * total + 13) // 26
                out[row, column, channel] = _blend(smooth, image[row, column, channel], amount)


@compiled
def _look_up(image: Bytes, table: Bytes) -> None:
    for pixel in image.reshape(-1, 3):
        for channel in range(3):
            pixel[channel] = table[channel, pixel[channel]]


@compiled
def _fill_table(image: Bytes, operation: int, amount: float, table: Bytes) -> None:
    if operation <= Operation.EQUALIZE:
        _fill_table_by_histogram(image, operation, table)
        return
    poorer = _mean_grey(image) if operation == Operation.CONTRAST else 0
    dropped = 8 - min(max(int(amount), 0), 8)
    for level in range(256):
        if operation == Operation.POSTERIZE:
            value = np.uint8((level >> dropped) << dropped)
        elif operation == Operation.SOLARIZE:
            value = np.uint8(level if level < amount else 255 - level)
        else:
            value = _blend(poorer, level, np.float32(amount))
        table[:, level] = value


@compiled
def _mean_grey(image: Bytes) -> int:
    total = 0
    for pixel in image.reshape(-1, 3):
        total += _grey(pixel)
    return int(total / (image.shape[0] * image.shape[1]) + 0.5)


@compiled
def _fill_table_by_histogram(image: Bytes, operation: int, table: Bytes) -> None:
    histograms = np.zeros((3, 256), np.int64)
    for pixel in image.reshape(-1, 3):
        for channel in range(3):
            histograms[channel, pixel[channel]] += 1
    for channel in range(3):
        lowest, highest = 0, 255
        while histograms[channel, lowest] == 0:
            lowest += 1
        while histograms[channel, highest] == 0:
            highest -= 1
        if operation == Operation.AUTOCONTRAST:
            _stretch(lowest, highest, table[channel])
        else:
            _equalize(histograms[channel], highest, table[channel])


@compiled
def _stretch(lowest: int, highest: int, table: Bytes) -> None:
    scale = 255.0 / max(highest - lowest, 1)
    for level in range(256):
        stretched = np.uint8(min(max(level * scale - lowest * scale, 0.0), 255.0))
        table[level] = stretched if highest > lowest else level


@compiled
def _equalize(histogram: Int64Array, highest: int, table: Bytes) -> None:
    step = (histogram.sum() - histogram[highest]) // 255
    rank = step // 2
    for level in range(256):
        table[level] = min(rank // step, 255) if step > 0 else level
        rank += histogram[level]
