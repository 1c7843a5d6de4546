"""Claims on how well confidence fits accuracy: C9."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from winninghand.results.claims.claim import Claim
from winninghand.results.claims.comparison import Comparison, Missing
from winninghand.results.claims.groups import Groups
from winninghand.results.runs import RunResult

SAME = 0.005
"""Calibration errors that differ by less than this are the same."""


class PruningChangesCalibration(Claim):
    """A pruned network is surer, or less sure, than its dense one for what it gets right.

    Confidences of single images are not kept, so that this is tested over seeds alone.
    """

    name = "C9"
    sentence = "Pruning to 95% changes the calibration error on corrupted images"
    statistic = (
        "expected calibration error of a card, mean over the cells, less that of its dense network; over "
        "seeds alone; the same: within half a point"
    )

    def comparisons(self, groups: Groups) -> Iterator[Comparison | Missing]:
        """Compare each card at 95% with its dense network."""
        cards = groups.chosen(sparsity=0.95)
        if not cards:
            yield Missing("cards at 95%")
        for card in cards:
            yield groups.against_dense(card, calibration, "apart", SAME)


def calibration(run: RunResult) -> npt.NDArray[np.float64]:
    """Return the mean expected calibration error over the corrupted cells, one value."""
    return np.array([np.mean([cell.expected_calibration_error for cell in run.cells])])
