"""The ranges that the values inside an exported graph take, measured on images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Run = Callable[[Array], Sequence[Array]]

LOWEST, HIGHEST = 0, 255
_BINS = 2048
# How far the ends of a range may be drawn in, in the search for its step: that of the weights' scales.
_CLIPPING = np.linspace(1.0, 0.4, 25)
_MEMORY = 2**28  # bytes of values at once


@dataclass(frozen=True)
class Step:
    """What one level of a value is worth: value = scale × (level − zero), level in 0 .. 255."""

    scale: float
    zero: int

    def rounded(self, values: Array) -> Array:
        """Return values as their levels give them back."""
        levels = np.clip(np.round(values / self.scale) + self.zero, LOWEST, HIGHEST)
        return (levels - self.zero) * self.scale


def steps(run: Run, names: Sequence[str], images: Array) -> dict[str, Step]:
    """Return the step of each value by name; `run` gives the values in the order of `names`.

    `images` is float32 (N, 3, H, W) in [0, 1]. They are run twice: for the ends of each range, and for
    the histogram of what lies between. Of 25 ranges, drawn in more and more, the step is that of the
    least squared error.
    """
    # The values of one image tell how many fit in memory.
    single = sum(value.nbytes for value in run(images[:1]))
    count = int(np.clip(_MEMORY // max(single, 1), 1, 64))
    ends = dict.fromkeys(names, (0.0, 0.0))
    for values in _values(run, names, images, count):
        for name, value in values.items():
            low, high = ends[name]
            ends[name] = min(low, float(value.min())), max(high, float(value.max()))
    histograms = {name: np.zeros(_BINS) for name in names}
    for values in _values(run, names, images, count):
        for name, value in values.items():
            histograms[name] += np.histogram(value, _BINS, _apart(*ends[name]))[0]
    return {name: _step(histograms[name], *_apart(*ends[name])) for name in names}


def _values(run: Run, names: Sequence[str], images: Array, count: int) -> Iterator[Mapping[str, Array]]:
    for start in range(0, len(images), count):
        yield dict(zip(names, run(images[start : start + count]), strict=True))


def _apart(low: float, high: float) -> tuple[float, float]:
    """Return the ends of a range that is not empty; a value that is always 0 gets any."""
    return (low, high) if high - low > 1e-30 else (0.0, 1.0)


def _step(counts: Array, low: float, high: float) -> Step:
    """Return the step of least squared error for values of a histogram; 0 is one of its levels."""
    width = (high - low) / _BINS
    centres = low + width * (np.arange(_BINS) + 0.5)
    candidates = [_between(clipping * low, clipping * high) for clipping in _CLIPPING]
    errors = [float((counts * np.square(one.rounded(centres) - centres)).sum()) for one in candidates]
    return candidates[int(np.argmin(errors))]


def _between(low: float, high: float) -> Step:
    # As the file holds it, in single precision.
    scale = float(np.float32((high - low) / (HIGHEST - LOWEST)))
    return Step(scale, int(np.clip(round(LOWEST - low / scale), LOWEST, HIGHEST)))
