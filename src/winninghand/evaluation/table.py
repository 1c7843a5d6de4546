"""The result of the corruption benchmark for one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from winninghand.evaluation.outcome import Outcome


@dataclass(frozen=True)
class Cell:
    """One corruption at one severity."""

    corruption: str
    severity: int
    outcome: Outcome

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy, a fraction."""
        return self.outcome.accuracy


@dataclass(frozen=True)
class RobustnessTable:
    """Clean and corrupted accuracy of one model over the same images.

    `missing` names the corruptions that were asked for and could not be had, with the reason:
    the robust accuracy is a mean over the others only.
    """

    clean: Outcome
    cells: tuple[Cell, ...]
    batch_size: int
    seed: int
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def clean_accuracy(self) -> float:
        """Top-1 accuracy on the images as they are, a fraction."""
        return self.clean.accuracy

    @property
    def robust_accuracy(self) -> float:
        """Plain mean of the top-1 accuracies of all cells, a fraction; NaN without cells."""
        return float(np.mean([cell.accuracy for cell in self.cells])) if self.cells else float("nan")

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

    def by_severity(self, severity: int) -> float:
        """Mean accuracy over the corruptions at one severity."""
        return float(np.mean([cell.accuracy for cell in self.cells if cell.severity == severity]))

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "images": len(self.clean.correct),
            "seed": self.seed,
            "batch_size": self.batch_size,
            "clean_accuracy": self.clean_accuracy,
            "robust_accuracy": self.robust_accuracy if self.cells else None,
            "mean_passes": self.mean_passes,
            "corruptions": list(self.corruptions),
            "missing": dict(self.missing),
            "cells": [
                {"corruption": cell.corruption, "severity": cell.severity, "accuracy": cell.accuracy}
                for cell in self.cells
            ],
        }
