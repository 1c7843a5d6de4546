from __future__ import annotations

import numpy as np
import pytest

from winninghand.base.errors import InputError
from winninghand.images import load_images


def arrays(pixels):
    return {
        "train_images": pixels(4),
        "train_labels": np.array([0, 1, 2, 1]),
        "test_images": pixels(2, seed=1),
        "test_labels": np.array([2, 0]),
    }


def test_npz_with_and_without_class_names(tmp_path, pixels):
    given = arrays(pixels)
    np.savez_compressed(tmp_path / "a.npz", **given)
    images = load_images(tmp_path / "a.npz")
    assert images.classes == ("0", "1", "2")
    assert np.array_equal(images.train.images, given["train_images"])
    assert np.array_equal(images.test.labels, given["test_labels"])
    np.savez(tmp_path / "b.npz", **given, classes=np.array(["x", "y", "z"]))
    assert load_images(str(tmp_path / "b.npz")).classes == ("x", "y", "z")


def test_grey_images_with_labels_in_a_column_are_read_and_resized(tmp_path, pixels):
    given = arrays(pixels)
    given["train_images"] = given["train_images"][..., 0]
    given["train_labels"] = given["train_labels"][:, None]
    given["test_images"] = np.full((2, 20, 30), 9, np.uint8)
    np.savez(tmp_path / "a.npz", **given)
    images = load_images(tmp_path / "a.npz", size=10)
    assert images.train.images.shape == (4, 10, 10, 3)
    assert (images.test.images == 9).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_labels": None}, "lacks test_labels"),
        ({"train_labels": np.array([0, 1, 2, None])}, "plain arrays"),
        ({"train_images": np.zeros((4, 8, 6, 3))}, "a: train images must be uint8"),
        ({"train_labels": np.array([0.0, 1.0, 2.0, 1.0])}, "whole numbers"),
        ({"train_labels": np.array([0, 1, 3, 1])}, "class '2' has test images but no training images"),
        ({"classes": np.array(["x", "y"])}, "0..1"),
    ],
)
def test_npz_that_does_not_fit_is_refused(tmp_path, pixels, change, message):
    given = {name: array for name, array in {**arrays(pixels), **change}.items() if array is not None}
    np.savez(tmp_path / "a.npz", **given)
    with pytest.raises(InputError, match=message):
        load_images(tmp_path / "a.npz")


def test_a_broken_npz_is_refused(tmp_path, pixels):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays(pixels))
    whole = path.read_bytes()
    for content in (whole[:200], b"", b"PK\x03\x04 and no more"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.npz cannot be read"):
            load_images(path)
