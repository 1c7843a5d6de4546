"""How far a model's confidence is from its accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from winninghand.evaluation.outcome import Outcome

BINS = 15


def expected_calibration_error(outcome: Outcome) -> float:
    """Return the mean of |accuracy − confidence| over 15 bins, weighted by their images; in [0, 1].

    The bins of confidence are equally wide (Guo et al. 2017, arXiv:1706.04599, equation 3).
    """
    shares, gaps = _shares_and_gaps(outcome)
    return float(shares @ np.abs(gaps))


def rms_calibration_error(outcome: Outcome) -> float:
    """Return the root mean square of the same gaps under the same weights; in [0, 1].

    After Hendrycks et al. 2019 (arXiv:1812.04606), whose bins hold equally many images instead.
    """
    shares, gaps = _shares_and_gaps(outcome)
    return float(np.sqrt(shares @ gaps**2))


def _shares_and_gaps(outcome: Outcome) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return for each bin its share of the images and its accuracy less its mean confidence."""
    bins = np.clip((outcome.confidence * BINS).astype(np.int64), 0, BINS - 1)
    images = np.bincount(bins, minlength=BINS)
    right = np.bincount(bins, outcome.correct, BINS)
    confidence = np.bincount(bins, outcome.confidence, BINS)
    return images / len(bins), (right - confidence) / np.maximum(images, 1)
