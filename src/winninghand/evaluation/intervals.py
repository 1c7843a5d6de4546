"""Bootstrap intervals over images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import InputError

Values = npt.NDArray[np.float64] | npt.NDArray[np.bool_]

_RESAMPLES, _RESAMPLES_AT_ONCE = 2000, 100


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% percentile-bootstrap interval (Efron 1979)."""

    mean: float
    low: float
    high: float


def bootstrap(values: Values, seed: int = 0) -> Interval:
    """Return the mean of per-image values (N,) and its interval under resampling of the images."""
    # A resample is how often each value is drawn; there are far fewer values than images.
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    generator, total = np.random.default_rng(seed), len(values)
    means = np.concatenate(
        [
            generator.multinomial(total, counts / total, size=_RESAMPLES_AT_ONCE) @ distinct / total
            for _ in range(_RESAMPLES // _RESAMPLES_AT_ONCE)
        ]
    )
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(distinct @ counts / total), float(low), float(high))


def paired_difference(first: Values, second: Values, seed: int = 0) -> Interval:
    """Return the interval of mean(first − second), where both hold one value for each of the same images."""
    if len(first) != len(second):
        raise InputError("a paired comparison needs both models measured on the same images")
    return bootstrap(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64), seed)
