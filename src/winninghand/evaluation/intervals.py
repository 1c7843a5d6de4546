"""Bootstrap intervals over images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winninghand.errors import InputError

Values = npt.NDArray[np.float64] | npt.NDArray[np.bool_]

_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% percentile-bootstrap interval (Efron 1979)."""

    mean: float
    low: float
    high: float


def bootstrap(values: Values, seed: int = 0) -> Interval:
    """Return the mean of per-image values (N,) and its interval under resampling of the images."""
    values = np.asarray(values, dtype=np.float64)
    generator = np.random.default_rng(seed)
    # A resample is how often each image is drawn; one matrix product then gives all its means.
    even = np.full(len(values), 1 / len(values))
    means = np.array([generator.multinomial(len(values), even) @ values for _ in range(_RESAMPLES)])
    low, high = np.quantile(means / len(values), (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high))


def paired_difference(first: Values, second: Values, seed: int = 0) -> Interval:
    """Return the interval of mean(first − second), where both hold one value for each of the same images."""
    if len(first) != len(second):
        raise InputError("a paired comparison needs both models measured on the same images")
    return bootstrap(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64), seed)
