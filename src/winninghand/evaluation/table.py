"""The result of the corruption benchmark for one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from winninghand.corruptions import family_of
from winninghand.evaluation.archived import Source
from winninghand.evaluation.calibration import expected_calibration_error, rms_calibration_error
from winninghand.evaluation.intervals import Interval, bootstrap
from winninghand.evaluation.outcome import Outcome

CLEAN = "clean"


@dataclass(frozen=True)
class Cell:
    """One corruption at one severity, and where its images came from."""

    corruption: str
    severity: int
    outcome: Outcome
    source: Source = "generated"

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy, a fraction."""
        return self.outcome.accuracy


@dataclass(frozen=True)
class RobustnessTable:
    """Clean and corrupted accuracy of one model over the same images.

    `missing` names the corruptions that were asked for and could not be had, with the reason:
    the robust accuracy is a mean over the others only. `adaptation` is the prior of the batch-norm
    adaptation that was on, in images, None where it was off.
    """

    clean: Outcome
    cells: tuple[Cell, ...]
    batch_size: int
    seed: int
    missing: Mapping[str, str] = field(default_factory=dict)
    adaptation: float | None = None

    @property
    def clean_accuracy(self) -> float:
        """Top-1 accuracy on the images as they are, a fraction."""
        return self.clean.accuracy

    @property
    def robust_accuracy(self) -> float:
        """Plain mean of the top-1 accuracies of all cells, a fraction; NaN without cells."""
        return float(np.mean([cell.accuracy for cell in self.cells])) if self.cells else float("nan")

    @cached_property
    def clean_interval(self) -> Interval:
        """The clean accuracy with its 95% bootstrap interval over images."""
        return bootstrap(self.clean.correct)

    @cached_property
    def robust_interval(self) -> Interval | None:
        """The robust accuracy with its 95% bootstrap interval over images; None without cells."""
        return bootstrap(self.robust_correct) if self.cells else None

    @property
    def worst_cell(self) -> Cell | None:
        """The cell of the lowest accuracy; None without cells."""
        return min(self.cells, key=lambda cell: cell.accuracy, default=None)

    @property
    def mean_passes(self) -> float:
        """Mean number of networks run per image, over the cells (over the clean images without cells)."""
        outcomes = [cell.outcome for cell in self.cells] or [self.clean]
        return float(np.mean([outcome.passes.mean() for outcome in outcomes]))

    @property
    def corruptions(self) -> tuple[str, ...]:
        """The corruptions that the robust accuracy is a mean over."""
        return tuple(dict.fromkeys(cell.corruption for cell in self.cells))

    @property
    def robust_correct(self) -> npt.NDArray[np.float64]:
        """Per image, the fraction of the cells answered rightly, float64 (N,)."""
        correct = np.stack([cell.outcome.correct for cell in self.cells])
        return np.asarray(correct.mean(axis=0), dtype=np.float64)

    @property
    def families(self) -> dict[str, float]:
        """Mean accuracy over the cells of each family of corruptions that was measured."""
        by_family: dict[str, list[float]] = {}
        for cell in self.cells:
            by_family.setdefault(family_of(cell.corruption), []).append(cell.accuracy)
        return {family: float(np.mean(accuracies)) for family, accuracies in by_family.items()}

    def by_severity(self, severity: int) -> float:
        """Mean accuracy over the corruptions at one severity."""
        return float(np.mean([cell.accuracy for cell in self.cells if cell.severity == severity]))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row of plain values per cell, after one of the images as they are.

        That row's corruption is `clean`, its severity 0.
        """
        clean = {"corruption": CLEAN, "severity": 0, "source": "split", **figures(self.clean)}
        return [clean, *(_row(cell) for cell in self.cells)]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        robust = self.robust_interval
        clean, *cells = self.rows()
        return {
            "images": len(self.clean.correct),
            "seed": self.seed,
            "batch_size": self.batch_size,
            "adaptation": self.adaptation,
            "clean_accuracy": self.clean_accuracy,
            "clean_interval": [self.clean_interval.low, self.clean_interval.high],
            "robust_accuracy": None if robust is None else self.robust_accuracy,
            "robust_interval": None if robust is None else [robust.low, robust.high],
            "families": self.families,
            "worst_cell": min(cells, key=lambda row: row["accuracy"], default=None),
            "mean_passes": self.mean_passes,
            "corruptions": list(self.corruptions),
            "missing": dict(self.missing),
            "clean": clean,
            "cells": cells,
        }


def figures(outcome: Outcome) -> dict[str, float]:
    """Return the figures of one cell: accuracy with its 95% interval, calibration errors, passes."""
    interval = bootstrap(outcome.correct)
    return {
        "accuracy": outcome.accuracy,
        "accuracy_low": interval.low,
        "accuracy_high": interval.high,
        "expected_calibration_error": expected_calibration_error(outcome),
        "rms_calibration_error": rms_calibration_error(outcome),
        "mean_passes": float(outcome.passes.mean()),
    }


def _row(cell: Cell) -> dict[str, Any]:
    place = {"corruption": cell.corruption, "severity": cell.severity, "source": cell.source}
    return {**place, **figures(cell.outcome)}
