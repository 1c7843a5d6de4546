"""Measuring cards and decks on clean, corrupted and disturbed images."""

from winninghand.evaluation.alexnet import ALEXNET_ERRORS, alexnet_corruption_errors, check_against_alexnet
from winninghand.evaluation.archives import find_archive, find_archives
from winninghand.evaluation.comparison import CorruptionErrors, compare, corruption_errors, paired_difference
from winninghand.evaluation.heatmap import Heatmap, fourier_heatmap, heatmap_norm, heatmap_shape
from winninghand.evaluation.measurement import (
    Measurement,
    Sample,
    accuracy,
    available,
    balanced_sample,
    evaluate,
)
from winninghand.evaluation.orders import ORDERS, Order, checked_order
from winninghand.evaluation.table import (
    CLEAN,
    Cell,
    Interval,
    Measured,
    Outcome,
    RobustnessTable,
    bootstrap,
    expected_calibration_error,
    rms_calibration_error,
)
from winninghand.evaluation.timing import milliseconds_per_image

__all__ = [
    "ALEXNET_ERRORS",
    "CLEAN",
    "ORDERS",
    "Cell",
    "CorruptionErrors",
    "Heatmap",
    "Interval",
    "Measured",
    "Measurement",
    "Order",
    "Outcome",
    "RobustnessTable",
    "Sample",
    "accuracy",
    "alexnet_corruption_errors",
    "available",
    "balanced_sample",
    "bootstrap",
    "check_against_alexnet",
    "checked_order",
    "compare",
    "corruption_errors",
    "evaluate",
    "expected_calibration_error",
    "find_archive",
    "find_archives",
    "fourier_heatmap",
    "heatmap_norm",
    "heatmap_shape",
    "milliseconds_per_image",
    "paired_difference",
    "rms_calibration_error",
]
