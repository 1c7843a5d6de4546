from __future__ import annotations

import numpy as np
import pytest
import torch

from winninghand.base.errors import InputError
from winninghand.images import ImageSet, Split


def arrays(count=4, side=5):
    return np.zeros((count, side, side, 3), np.uint8), np.arange(count) % 2


def test_from_arrays_takes_tensors_and_grey_images():
    grey = torch.arange(2 * 4 * 5, dtype=torch.uint8).reshape(2, 4, 5)
    images = ImageSet.from_arrays((grey, torch.tensor([0, 1])), (grey[..., None], [1, 0]), ["a", "b"])
    assert images.train.size == (4, 5)
    assert images.train.labels.dtype == np.int64
    for channel in range(3):
        assert np.array_equal(images.train.images[..., channel], grey.numpy())
    assert np.array_equal(images.test.images, images.train.images)


def test_take_keeps_images_and_labels_together():
    split = Split(np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1).repeat(3, -1), np.arange(5))
    taken = split.take(np.array([4, 1]))
    assert taken.labels.tolist() == [4, 1]
    assert taken.images[:, 0, 0, 0].tolist() == [4, 1]


@pytest.mark.parametrize(
    ("train", "test", "classes", "message"),
    [
        ((arrays()[0].astype(np.float32), arrays()[1]), arrays(), "ab", "uint8"),
        ((arrays()[0][..., :2], arrays()[1]), arrays(), "ab", "shape"),
        ((arrays()[0], arrays()[1][:-1]), arrays(), "ab", "one per image"),
        ((arrays()[0], arrays()[1] / 2), arrays(), "ab", "whole numbers"),
        ((arrays()[0], arrays()[1] - 1), arrays(), "ab", "0..1"),
        (arrays(), (arrays()[0], arrays()[1] + 1), "ab", "0..1"),
        (arrays(), arrays(side=6), "ab", "resize"),
        (arrays(), arrays(count=0), "ab", "no images"),
        (arrays(), arrays(), "aa", "different names"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(train, test, classes, message):
    with pytest.raises(InputError, match=message):
        ImageSet.from_arrays(train, test, classes)
