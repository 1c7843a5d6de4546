"""The deterministic corruptions against the reference's own pixels."""

import numpy as np
import pytest
import torch
from PIL import Image

from winninghand.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from winninghand.corruptions.parameters import PIXELATE_FACTOR, Setting

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


@pytest.mark.parametrize(("height", "width"), [(8, 9), (31, 40), (64, 64), (101, 77), (150, 224), (224, 224)])
def test_pixelate_is_pillows_box_filter_at_every_size(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for factors in PIXELATE_FACTOR:
        for factor in factors:
            small = Image.fromarray(image).resize(
                (int(width * factor), int(height * factor)), Image.Resampling.BOX
            )
            expected = np.asarray(small.resize((width, height), Image.Resampling.NEAREST))
            made = CORRUPTIONS["pixelate"].function(
                torch.from_numpy(image)[None], Setting(factor, "imagenet-c", 1), None
            )
            assert np.array_equal(made[0].numpy(), expected)
