"""Two models on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from winninghand.base.errors import InputError
from winninghand.evaluation.table import Interval, Measured, Values, bootstrap

Ratios = Mapping[str, float | None]


def paired_difference(first: Values, second: Values, seed: int = 0) -> Interval:
    """Return the interval of mean(first − second), where both hold one value for each of the same images."""
    if len(first) != len(second):
        raise InputError("a paired comparison needs both models measured on the same images")
    return bootstrap(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64), seed)


def compare(first: Measured, second: Measured) -> dict[str, Interval]:
    """Return by how much `first` exceeds `second` in clean and in robust accuracy, paired by image.

    Raises `InputError` unless both were measured over the same images and cells.
    """
    _check_same_cells(first, second)
    differences = {"clean_accuracy": paired_difference(first.clean.correct, second.clean.correct)}
    if first.cells:
        differences["robust_accuracy"] = paired_difference(first.robust_correct, second.robust_correct)
    return differences


@dataclass(frozen=True)
class CorruptionErrors:
    """A model's errors per corruption as fractions of a baseline's (Hendrycks & Dietterich 2019, section 4).

    `absolute` holds Σ error / Σ error of the baseline, sums over the severities; `relative` the
    same of the error beyond the clean one. 1 is as bad as the baseline. None, and left out of the
    means, where the baseline's sum is not above 0.
    """

    absolute: Ratios
    relative: Ratios

    @property
    def mean(self) -> float | None:
        """The mean corruption error (mCE); published figures are 100 times this."""
        return _mean(self.absolute)

    @property
    def relative_mean(self) -> float | None:
        """The relative mean corruption error."""
        return _mean(self.relative)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        ratios = {
            name: {"error": self.absolute[name], "relative_error": self.relative[name]}
            for name in self.absolute
        }
        return {"mce": self.mean, "relative_mce": self.relative_mean, "corruption_errors": ratios}


def corruption_errors(table: Measured, baseline: Measured) -> CorruptionErrors:
    """Return the errors under each corruption relative to those of a baseline.

    Raises `InputError` unless both were measured over the same images and cells.
    """
    _check_same_cells(table, baseline)
    absolute: dict[str, float | None] = {}
    relative: dict[str, float | None] = {}
    for name in table.corruptions:
        sums = [_errors(one, name).sum() for one in (table, baseline)]
        beyond = [(_errors(one, name) - 1 + one.clean_accuracy).sum() for one in (table, baseline)]
        absolute[name], relative[name] = _ratio(*sums), _ratio(*beyond)
    return CorruptionErrors(absolute, relative)


def _errors(table: Measured, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([1 - cell.accuracy for cell in table.cells if cell.corruption == name])


def _ratio(errors: float, baseline: float) -> float | None:
    # What rounding leaves of a difference that is none must not be divided by.
    return float(errors / baseline) if baseline > 1e-9 else None


def _mean(ratios: Ratios) -> float | None:
    defined = [ratio for ratio in ratios.values() if ratio is not None]
    return float(np.mean(defined)) if defined else None


def _check_same_cells(first: Measured, second: Measured) -> None:
    cells = [
        [(cell.corruption, cell.severity, cell.source) for cell in table.cells] for table in (first, second)
    ]
    if cells[0] != cells[1] or first.seed != second.seed:
        raise InputError("a comparison needs both models measured over the same cells")
