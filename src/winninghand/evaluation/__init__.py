"""Measuring cards and decks on clean and corrupted images."""

from winninghand.evaluation.comparison import compare
from winninghand.evaluation.intervals import Interval, bootstrap, paired_difference
from winninghand.evaluation.outcome import Outcome, accuracy
from winninghand.evaluation.robustness import available, evaluate
from winninghand.evaluation.table import Cell, RobustnessTable
from winninghand.evaluation.timing import milliseconds_per_image

__all__ = [
    "Cell",
    "Interval",
    "Outcome",
    "RobustnessTable",
    "accuracy",
    "available",
    "bootstrap",
    "compare",
    "evaluate",
    "milliseconds_per_image",
    "paired_difference",
]
