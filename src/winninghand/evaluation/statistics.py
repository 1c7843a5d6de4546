"""Statistics over images: bootstrap intervals, and how far confidence is from accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import InputError

Values = npt.NDArray[np.float64] | npt.NDArray[np.bool_]
Confidence = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_RESAMPLES, _RESAMPLES_AT_ONCE = 2000, 100

BINS = 15
"""Bins of equal width that confidences are sorted into for the calibration errors."""


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


def expected_calibration_error(correct: Values, confidence: Confidence) -> float:
    """Return the mean of |accuracy − confidence| over 15 bins, weighted by their images; in [0, 1].

    `correct` (N,) says which answers are right, `confidence` (N,) in [0, 1] how sure the model was of
    them. The bins of confidence are equally wide (Guo et al. 2017, arXiv:1706.04599, equation 3).
    """
    shares, gaps = _shares_and_gaps(correct, confidence)
    return float(shares @ np.abs(gaps))


def rms_calibration_error(correct: Values, confidence: Confidence) -> float:
    """Return the root mean square of the same gaps under the same weights; in [0, 1].

    After Hendrycks et al. 2019 (arXiv:1812.04606), whose bins hold equally many images instead.
    """
    shares, gaps = _shares_and_gaps(correct, confidence)
    return float(np.sqrt(shares @ gaps**2))


def _shares_and_gaps(
    correct: Values, confidence: Confidence
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return for each bin its share of the images and its accuracy less its mean confidence."""
    bins = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    images = np.bincount(bins, minlength=BINS)
    right = np.bincount(bins, correct, BINS)
    sure = np.bincount(bins, confidence, BINS)
    return images / len(bins), (right - sure) / np.maximum(images, 1)
