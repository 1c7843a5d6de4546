"""Two models on the same images."""

from __future__ import annotations

from winninghand.errors import InputError
from winninghand.evaluation.intervals import Interval, paired_difference
from winninghand.evaluation.table import RobustnessTable


def compare(first: RobustnessTable, second: RobustnessTable) -> dict[str, Interval]:
    """Return by how much `first` exceeds `second` in clean and in robust accuracy, paired by image.

    Raises `InputError` unless both were measured over the same images and cells.
    """
    cells = [[(cell.corruption, cell.severity) for cell in table.cells] for table in (first, second)]
    if cells[0] != cells[1] or first.seed != second.seed:
        raise InputError("a paired comparison needs both models measured over the same cells")
    differences = {"clean_accuracy": paired_difference(first.clean.correct, second.clean.correct)}
    if first.cells:
        differences["robust_accuracy"] = paired_difference(first.robust_correct, second.robust_correct)
    return differences
