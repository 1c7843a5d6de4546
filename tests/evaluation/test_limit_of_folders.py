"""A sample of an archive of 1,000 class folders: one image of each class, before any gets a second."""

import numpy as np
import pytest
from PIL import Image

from winninghand.corruptions import open_archive
from winninghand.evaluation import Measurement
from winninghand.images import Split

CLASSES, EACH = 1000, 3


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """ImageNet-C's layout, of 8×8 pixels whose red and green tell class and image."""
    root = tmp_path_factory.mktemp("imagenet-c")
    for number in range(CLASSES):
        folder = root / "fog" / "3" / f"n{number:08}"
        folder.mkdir(parents=True)
        for place in range(EACH):
            Image.new("RGB", (8, 8), (number % 250, number // 250, place)).save(folder / f"{place}.png")
    return open_archive(root)


@pytest.fixture(scope="module")
def split():
    pixels = np.zeros((CLASSES * EACH, 8, 8, 3), np.uint8)
    return Split(pixels, np.repeat(np.arange(CLASSES), EACH))


@pytest.mark.parametrize(("limit", "counts"), [(1000, {1}), (2500, {2, 3}), (70, {0, 1})])
def test_a_limit_is_balanced_over_a_thousand_classes(archive, split, limit, counts):
    sample = Measurement("fog", (3,), limit=limit, archive=archive).sample(split)
    batches = list(sample.batches("fog", 3, 256))
    labels = np.concatenate([batch.labels for batch in batches])
    assert len(labels) == limit and {*np.bincount(labels, minlength=CLASSES)} == counts
    # Each image is that of its label, and the one of its place in the split.
    pixels = np.concatenate([batch.images for batch in batches])[:, 0, 0].astype(int)
    np.testing.assert_array_equal(pixels[:, 0] + 250 * pixels[:, 1], labels)
    np.testing.assert_array_equal(pixels[:, 2], sample.indices % EACH)
    # Not the first image of each class, and a smaller sample is part of a larger one.
    assert {*pixels[:, 2]} == set(range(EACH))
    smaller = Measurement("fog", (3,), limit=limit // 2, archive=archive).sample(split)
    assert {*smaller.indices} <= {*sample.indices}
