"""The deterministic corruptions against the reference's own pixels."""

import numpy as np
import pytest

from winninghand.corruptions import CORRUPTIONS, SEVERITIES, corrupt

EXACT = (
    "defocus_blur",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "brightness",
    "saturate",
)


def test_these_are_all():
    deterministic = {name for name in CORRUPTIONS if CORRUPTIONS[name].deterministic}
    assert deterministic == {*EXACT, "zoom_blur", "circular_motion_blur"}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", EXACT)
def test_pixels_are_the_references(reference, name, severity):
    assert np.array_equal(corrupt(reference["clean"], name, severity), reference[f"{name}_{severity}"])


@pytest.mark.parametrize("severity", SEVERITIES)
def test_zoomed_pixels_are_the_references_but_for_ties(reference, severity):
    found = corrupt(reference["clean"], "zoom_blur", severity).astype(int)
    difference = np.abs(found - reference[f"zoom_blur_{severity}"])
    assert difference.max() <= 1
    assert difference.mean() < 0.001
