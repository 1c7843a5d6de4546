from __future__ import annotations

import numpy as np
import pytest

from winninghand.base.errors import InputError
from winninghand.images import load_images


def test_digits_are_the_stratified_split_brought_to_colour():
    images = load_images("digits")
    assert images.name == "digits"
    assert images.classes == tuple("0123456789")
    assert images.train.images.shape == (1437, 32, 32, 3)
    assert images.test.images.shape == (360, 32, 32, 3)
    assert images.train.images.dtype == np.uint8
    assert images.train.images.min() == 0
    assert images.train.images.max() == 255
    assert np.ptp(images.train.images, axis=-1).max() == 0
    shares = np.bincount(images.test.labels) / np.bincount(images.train.labels)
    assert np.allclose(shares, 360 / 1437, atol=0.01)
    assert np.array_equal(images.train.images, load_images("digits").train.images)


def test_digits_keep_their_mean_brightness():
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    brightness = sklearn_datasets.load_digits().images.mean() * 255 / 16
    images = load_images("digits", size=(64, 48))
    assert images.train.size == (64, 48)
    parts = [images.train.images, images.test.images]
    assert abs(np.concatenate(parts).mean() - brightness) < 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("cifar11", "did you mean 'cifar10'"),
        ("pictures", "known: .*digits"),
        ("no/such/folder", "no file or folder 'no/such/folder'"),
        ("pictures.npz", "no file or folder 'pictures.npz'"),
        ("hf:nobody", "hf:OWNER/NAME"),
    ],
)
def test_an_unknown_source_is_refused(source, message):
    with pytest.raises(InputError, match=message):
        load_images(source)


def test_folders_without_images_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is empty"):
        load_images(tmp_path / "empty")
    with pytest.raises(InputError, match="known layout"):
        load_images(tmp_path)


def test_a_root_and_a_size_are_checked(tmp_path):
    with pytest.raises(InputError, match="root"):
        load_images("cifar10", root=tmp_path / "nowhere")
    for size in (0, (8, 8, 8), (8, -1), 1.5):
        with pytest.raises(InputError, match="size"):
            load_images("digits", size=size)
