"""AlexNet's published errors on ImageNet-C, which an mCE on ImageNet-C is taken against."""

from __future__ import annotations

from collections.abc import Sequence

from winninghand.base.errors import InputError
from winninghand.corruptions import SEVERITIES
from winninghand.evaluation.comparison import CorruptionErrors
from winninghand.evaluation.table import RobustnessTable

IMAGENET_CLASSES = 1000

# Top-1 error in per cent at severities 1 to 5, as the authors of ImageNet-C measured it
# (Hendrycks & Dietterich 2019; their repository's issue 10).
ALEXNET_ERRORS = {
    "gaussian_noise": (69.528, 82.542, 93.554, 98.138, 99.452),
    "shot_noise": (71.224, 85.108, 93.574, 98.182, 99.146),
    "impulse_noise": (78.374, 89.808, 94.870, 98.720, 99.548),
    "defocus_blur": (65.624, 73.202, 85.036, 91.364, 94.714),
    "glass_blur": (64.308, 75.054, 88.806, 91.622, 93.344),
    "motion_blur": (58.430, 70.048, 82.108, 89.750, 92.638),
    "zoom_blur": (70.008, 76.992, 80.784, 84.198, 87.198),
    "snow": (71.726, 88.392, 86.468, 91.870, 94.952),
    "frost": (61.390, 79.734, 88.790, 89.942, 93.430),
    "fog": (67.474, 76.050, 84.378, 87.260, 94.500),
    "brightness": (45.140, 48.502, 54.048, 62.166, 72.440),
    "contrast": (64.548, 76.150, 88.874, 97.760, 99.270),
    "elastic_transform": (52.596, 70.116, 55.686, 64.076, 80.554),
    "pixelate": (52.218, 54.620, 73.728, 87.092, 91.262),
    "jpeg_compression": (51.002, 54.718, 57.294, 65.458, 74.778),
}


def check_against_alexnet(
    classes: int, corruptions: Sequence[str], severities: Sequence[int], parameters: str
) -> None:
    """Raise `InputError` where AlexNet's errors say nothing of what is measured.

    That is where the model tells other than ImageNet's 1,000 `classes` apart, where the images have other
    `parameters` than ImageNet-C's, and where a severity or every common corruption is lacking.
    """
    if classes != IMAGENET_CLASSES:
        raise InputError(
            f"AlexNet's errors are those on ImageNet's 1,000 classes, and the images have {classes:,}; "
            "leave out --alexnet"
        )
    if parameters != "imagenet-c":
        raise InputError(
            f"AlexNet's errors are those on ImageNet-C, and the images have the parameters of "
            f"{parameters}; use --parameters imagenet-c"
        )
    if not ALEXNET_ERRORS.keys() & set(corruptions):
        raise InputError("none of ImageNet-C's fifteen corruptions is measured; use --corruptions common")
    if set(severities) != set(SEVERITIES):
        raise InputError("an mCE against AlexNet takes all five severities; use --severities 1-5")


def alexnet_corruption_errors(table: RobustnessTable, classes: int) -> CorruptionErrors:
    """Return a model's errors under each common corruption relative to AlexNet's published ones.

    The CE of a corruption is Σ error / Σ AlexNet's error over the five severities; the mCE is their
    mean (Hendrycks & Dietterich 2019, section 4.1). AlexNet's clean error is not published with them,
    so that there is no relative mCE. Corruptions beyond the fifteen are left out. Raises `InputError`
    as `check_against_alexnet` does.
    """
    severities = [cell.severity for cell in table.cells]
    check_against_alexnet(classes, table.corruptions, severities, table.parameters)
    sums: dict[str, float] = dict.fromkeys(set(table.corruptions) & ALEXNET_ERRORS.keys(), 0.0)
    for cell in table.cells:
        if cell.corruption in sums:
            sums[cell.corruption] += 1 - cell.accuracy
    ratios: dict[str, float | None] = {
        name: 100 * sums[name] / sum(ALEXNET_ERRORS[name]) for name in table.corruptions if name in sums
    }
    return CorruptionErrors(ratios, {})
