from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from winninghand.base.errors import InputError
from winninghand.images import checks, load_images


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
        ({"train_labels": np.array([0, 1, 2**40, 1])}, r"a\.npz: train labels must lie in 0..65535"),
        ({"test_labels": np.array([0, -1])}, r"a\.npz: test labels must lie in 0..65535"),
        ({"classes": np.array([b"x", b"y", b"z"])}, "must be text, not b'x'"),
        ({"classes": np.array(["x", "", "z"])}, "must be readable"),
        ({"classes": np.full(3, 2**31 - 1, np.uint32).view("<U1")}, "are no text"),
        ({"classes": np.array(["x", "y", "x"])}, "'x' is given more than once"),
        ({"classes": np.array(["x", "y", "z" * 201])}, "classes holds <U201"),
        ({"train_labels": np.zeros(4, [("a", "i8")])}, "plain arrays"),
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


def test_numbers_that_no_image_has_are_no_classes(tmp_path, pixels):
    given = arrays(pixels)
    given["train_labels"], given["test_labels"] = np.array([1, 40, 3, 40], np.uint8), np.array([3, 1])
    np.savez(tmp_path / "a.npz", **given)
    images = load_images(tmp_path / "a.npz")
    assert images.classes == ("1", "3", "40")
    assert images.train.labels.tolist() == [0, 2, 1, 2]
    assert images.test.labels.tolist() == [1, 0]


def header(shape, descr="|u1"):
    file = io.BytesIO()
    text = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, text)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "method", "message"),
    [
        (header((2**20,)) + bytes(2**20), zipfile.ZIP_DEFLATED, "bytes of memory"),
        (header((2**40, 2, 2, 3)), zipfile.ZIP_STORED, "another size than its shape"),
        (header((2**31 - 1, 0)) + b"x", zipfile.ZIP_STORED, "another size than its shape"),
        (header((-2, -2, 1)) + bytes(4), zipfile.ZIP_STORED, "another size than its shape"),
        (header((4,), f"|V{2**30}"), zipfile.ZIP_STORED, "holds"),
        (header((4,), "|O") + bytes(32), zipfile.ZIP_STORED, "holds object"),
        (header((4,)) + bytes(4), zipfile.ZIP_LZMA, "compressed in a way"),
        (header((4,)) + bytes(4), zipfile.ZIP_BZIP2, "compressed in a way"),
    ],
)
def test_an_npz_is_measured_before_it_is_inflated(tmp_path, pixels, monkeypatch, content, method, message):
    monkeypatch.setattr(checks, "PLAIN_BYTES", 2**16)
    path = tmp_path / "a.npz"
    given = arrays(pixels)
    del given["test_images"]
    np.savez(path, **given)
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr("test_images.npy", content)
    tracemalloc.start()
    with pytest.raises(InputError, match=message):
        load_images(path)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 2**19
