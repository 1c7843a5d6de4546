"""Measuring cards and decks on clean, corrupted and disturbed images."""

from winninghand.evaluation.archived import Source, corrupted_split, find_archive
from winninghand.evaluation.calibration import expected_calibration_error, rms_calibration_error
from winninghand.evaluation.comparison import CorruptionErrors, compare, corruption_errors
from winninghand.evaluation.heatmap import Heatmap, fourier_heatmap
from winninghand.evaluation.intervals import Interval, bootstrap, paired_difference
from winninghand.evaluation.outcome import Outcome, accuracy
from winninghand.evaluation.robustness import available, checked_severities, evaluate, sample
from winninghand.evaluation.rows import checked_rows_path, write_rows
from winninghand.evaluation.stored import load_table, save_table
from winninghand.evaluation.table import CLEAN, Cell, RobustnessTable
from winninghand.evaluation.timing import milliseconds_per_image
from winninghand.evaluation.watched import evaluate_watched

__all__ = [
    "CLEAN",
    "Cell",
    "CorruptionErrors",
    "Heatmap",
    "Interval",
    "Outcome",
    "RobustnessTable",
    "Source",
    "accuracy",
    "available",
    "bootstrap",
    "checked_rows_path",
    "checked_severities",
    "compare",
    "corrupted_split",
    "corruption_errors",
    "evaluate",
    "evaluate_watched",
    "expected_calibration_error",
    "find_archive",
    "fourier_heatmap",
    "load_table",
    "milliseconds_per_image",
    "paired_difference",
    "rms_calibration_error",
    "sample",
    "save_table",
    "write_rows",
]
