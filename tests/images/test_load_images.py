from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from winninghand.base.errors import InputError
from winninghand.images import checks, load_images


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


def test_digits_are_the_published_ones_in_the_order_of_scikit_learns_split():
    datasets, selection = (pytest.importorskip(f"sklearn.{name}") for name in ("datasets", "model_selection"))
    levels, labels = datasets.load_digits(return_X_y=True)
    parts = selection.train_test_split(levels, labels, test_size=360, stratify=labels, random_state=0)
    images = load_images("digits", size=8)
    for split, pixels, marks in ((images.train, *parts[::2]), (images.test, *parts[1::2])):
        assert np.array_equal(split.images[..., 0], (pixels.reshape(-1, 8, 8) * 255 / 16).round())
        assert np.array_equal(split.labels, marks)


def test_digits_keep_their_pixels_and_their_order():
    images = load_images("digits", size=(40, 24), transform="squash")
    arrays = (images.train.images, images.train.labels, images.test.images, images.test.labels)
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    assert digest.startswith("31f240a8458b9a09")


def test_nothing_heavy_is_imported_for_the_digits():
    program = (
        "import sys; from winninghand.images import checks, load_images; load_images('digits'); "
        "sys.exit(bool({'sklearn', 'pyarrow', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("cifar11", "did you mean 'cifar10'"),
        ("pictures", "unknown image set 'pictures', and no such folder; known: .*digits"),
        ("no/such/folder", "no file or folder 'no/such/folder'"),
        ("pictures.npz", "no file or folder 'pictures.npz'"),
        ("shards/train-*.tar", r"no file or folder 'shards/train-\*\.tar'; name shards by numbers in braces"),
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


def test_what_is_no_path_is_said_in_one_line(tmp_path):
    for source in (3, None, b"digits", ["digits"]):
        with pytest.raises(InputError, match="the image set must be a name or a path, not"):
            load_images(source)
    with pytest.raises(InputError, match="root must be a name or a path, not int"):
        load_images("digits", root=3)
    with pytest.raises(InputError, match="File name too long"):
        load_images("/" + "a" * 5000)
    with pytest.raises(InputError, match=r"no file or folder .*\\x00"):
        load_images("a\0b/c")


def test_a_size_beyond_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(checks, "_memory", lambda: 2**30)
    with pytest.raises(InputError, match="this machine has 1,073,741,824; give a smaller size"):
        load_images("digits", size=8000)
    for size in (8193, True, "8", 2.0, (8, 2**40)):
        with pytest.raises(InputError, match="size must be a whole number from 1 to 8192"):
            load_images("digits", size=size)
