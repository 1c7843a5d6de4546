"""PRIME's chains for the CPU, compiled: one image at a time, in buffers that stay in the cache."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from winninghand.base.compiled import compiled

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
"""Numbers of the code would be double precision, and four to a register instead of eight."""

SINE = tuple(
    np.float32(part) for part in (1.5707963, -0.64596409, 0.07969259, -4.68162e-3, 1.602171e-4, -3.418173e-6)
)
"""Coefficients of the odd powers of a quarter turn's sine, fitted by least squares at Chebyshev's points."""

FILTER, COLOR, WARP = 1, 2, 3
"""The three operations; 0 leaves the image alone."""

BLOCK = 1024
"""Pixels whose colour is summed at once: few enough for the fastest cache."""


@compiled
def mix(
    start: int,
    stop: int,
    images: Float32Array,
    operations: Int64Array,
    filters: Float32Array,
    waves: Float32Array,
    corners: Int64Array,
    parts: Float32Array,
    fields: Int64Array,
    shares: Float32Array,
    views: Float32Array,
) -> None:
    """Fill `views` (V, B, 3, H, W) for images start .. stop − 1; other shapes are those of `Primitives`."""
    _, _, height, width = images.shape
    _, count, chains, steps = operations.shape
    here, there = np.empty((3, height * width), np.float32), np.empty((3, height * width), np.float32)
    padded = np.zeros((height + 2, width + 2), np.float32)
    sums = np.empty((3, BLOCK), np.float32)
    for i in range(start, stop):
        image = images[i].ravel()
        for j in range(count):
            view = views[j, i].ravel()
            for place in range(len(view)):
                view[place] = shares[i, j, 0] * image[place]
            for k in range(chains):
                end = here.ravel()
                for place in range(len(end)):
                    end[place] = image[place]
                for step in range(steps):
                    operation = operations[i, j, k, step]
                    if operation == FILTER:
                        _filter(here, filters[i, j, k, step], padded)
                    elif operation == COLOR:
                        _color(here, waves[i, j, k, step], sums)
                    elif operation == WARP:
                        field = fields[i, j, step]
                        _warp(here, corners[field], parts[field], there)
                        here, there = there, here
                end = here.ravel()
                share = shares[i, j, 1 + k]
                for place in range(len(view)):
                    view[place] += share * end[place]
            for place in range(len(view)):
                view[place] = min(view[place], ONE)


@compiled
def _filter(image: Float32Array, weights: Float32Array, padded: Float32Array) -> None:
    """Average each channel over 3×3 pixels with the same weights, (9,), zeros outside; clamp to [0, 1]."""
    width = padded.shape[1] - 2
    a, b, c, d, e, f, g, h, i = weights
    for channel in range(3):
        rows = image[channel].reshape((-1, width))
        for row in range(len(rows)):
            inner = padded[row + 1, 1:]
            for column in range(width):
                inner[column] = rows[row, column]
        for row in range(len(rows)):
            above, same, below, out = padded[row], padded[row + 1], padded[row + 2], rows[row]
            for k in range(width):
                total = a * above[k] + b * above[k + 1] + c * above[k + 2]
                total += d * same[k] + e * same[k + 1] + f * same[k + 2]
                total += g * below[k] + h * below[k + 1] + i * below[k + 2]
                out[k] = min(max(total, ZERO), ONE)


@compiled
def _color(image: Float32Array, waves: Float32Array, sums: Float32Array) -> None:
    """Add the sine series of its values, with amplitudes (3, K), to each channel; clamp to [0, 1].

    The series is summed by Clenshaw's recurrence, from the last wave to the first, two at a time.
    """
    for channel in range(3):
        amplitudes = waves[channel]
        last = len(amplitudes)
        while last > 0 and amplitudes[last - 1] == ZERO:
            last -= 1
        for first in range(0, image.shape[1], BLOCK):
            # Slices, not sums of indices: only then does the compiler see that no index is negative.
            values = image[channel, first : first + BLOCK]
            twice, newer, older = sums[0], sums[1], sums[2]
            wave = last - last % 2
            begin = amplitudes[wave] if last % 2 else ZERO
            for place in range(len(values)):
                # The cosine of π times the value is the sine of what is left to a quarter turn.
                twice[place] = TWO * _sine(ONE - TWO * values[place])
                newer[place] = begin
                older[place] = ZERO
            while wave > 0:
                wave -= 2
                upper, lower = amplitudes[wave + 1], amplitudes[wave]
                for place in range(len(values)):
                    between = upper + twice[place] * newer[place] - older[place]
                    newer[place] = lower + twice[place] * between - newer[place]
                    older[place] = between
            for place in range(len(values)):
                value = values[place]
                # Measured from the nearer end, so that 0 and 1 stay exactly where they are.
                changed = value + newer[place] * _sine(TWO * min(value, ONE - value))
                values[place] = min(max(changed, ZERO), ONE)


@compiled
def _sine(quarters: np.float32) -> np.float32:
    """Return the sine of −1 to 1 quarter turns within 2·10⁻⁷: a polynomial, which compilers vectorise."""
    square = quarters * quarters
    total = SINE[4] + square * SINE[5]
    total = SINE[2] + square * (SINE[3] + square * total)
    return quarters * (SINE[0] + square * (SINE[1] + square * total))


@compiled
def _warp(image: Float32Array, corners: Int64Array, parts: Float32Array, out: Float32Array) -> None:
    """Read each pixel between four others: `corners` (4, n) are their places, `parts` (4, n) sum to 1."""
    for channel in range(3):
        plane, target = image[channel], out[channel]
        for place in range(len(target)):
            total = parts[0, place] * plane[corners[0, place]] + parts[1, place] * plane[corners[1, place]]
            total += parts[2, place] * plane[corners[2, place]] + parts[3, place] * plane[corners[3, place]]
            target[place] = total
