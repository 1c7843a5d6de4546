from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
import torch

from winninghand.base.errors import InputError
from winninghand.images import load_images


@pytest.fixture
def npz(tmp_path, pixels):
    def write(seed):
        np.savez(
            tmp_path / "a.npz",
            train_images=pixels(4, seed=seed),
            train_labels=np.array([0, 1, 0, 1]),
            test_images=pixels(2, seed=seed + 1),
            test_labels=np.array([0, 1]),
        )
        return tmp_path / "a.npz"

    return write


def files(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_what_was_decoded_is_mapped_and_never_changed(npz, cache, pixels):
    path = npz(0)
    first = load_images(path)
    assert files(cache) == [
        "classes.json",
        "test_images.npy",
        "test_labels.npy",
        "train_images.npy",
        "train_labels.npy",
    ]
    stored = next(cache.rglob("train_images.npy"))
    made = stored.stat().st_mtime_ns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.from_numpy(first.train.images).fill_(0)  # a writable copy of the caller's own
    again = load_images(path)
    assert stored.stat().st_mtime_ns == made
    assert isinstance(again.train.images.base, np.memmap)
    assert np.array_equal(again.train.images, pixels(4))


def test_other_files_and_sizes_are_decoded_anew(npz, cache, pixels):
    load_images(npz(0))
    path = npz(5)
    os.utime(path, ns=(1, 1))
    assert np.array_equal(load_images(path).train.images, pixels(4, seed=5))
    assert load_images(path, size=4).train.size == (4, 4)
    assert len(list((cache / "images").iterdir())) == 3


@pytest.mark.parametrize("name", ["train_images.npy", "test_labels.npy", "classes.json"])
def test_a_damaged_cache_is_made_again(npz, cache, pixels, name):
    path = npz(0)
    load_images(path)
    stored = next(cache.rglob(name))
    stored.write_bytes(stored.read_bytes()[:-3])
    assert np.array_equal(load_images(path).train.images, pixels(4))
    assert load_images(path).test.labels.tolist() == [0, 1]
    assert stored.stat().st_size > 3


@pytest.mark.parametrize("name", ["train_images.npy", "train_labels.npy", "test_images.npy"])
def test_one_flipped_bit_is_found(npz, cache, pixels, name, caplog):
    path = npz(0)
    load_images(path)
    stored = next(cache.rglob(name))
    content = bytearray(stored.read_bytes())
    content[-8] ^= 1
    stored.write_bytes(content)
    images = load_images(path)
    assert np.array_equal(images.train.images, pixels(4))
    assert images.train.labels.tolist() == [0, 1, 0, 1]
    assert caplog.messages == [f"decoding a again, its cache is damaged: {name[:-4]} has changed"]
    content[-8] ^= 1
    assert stored.read_bytes() == content


def test_a_cache_of_anybody_else_is_made_again(npz, cache, pixels):
    path = npz(0)
    load_images(path)
    said = next(cache.rglob("classes.json"))
    for content in ('["0", "1"]', "[" * 10**5, "{}", '{"classes": ["0"], "checksums": {}}', "\0"):
        said.write_text(content)
        assert load_images(path).classes == ("0", "1")
    images = next(cache.rglob("train_images.npy"))
    header = {"descr": "|u1", "fortran_order": False}
    for shape in ((2**40, 8, 6, 3), (2**31 - 1, 0, 8, 3), (-1, 8, 6, 3)):
        with images.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {**header, "shape": shape})
        assert np.array_equal(load_images(path).train.images, pixels(4))
    np.save(images, np.array([None]), allow_pickle=True)
    assert np.array_equal(load_images(path).train.images, pixels(4))


def test_without_a_cache_images_stay_in_memory(npz, cache, pixels, caplog):
    path = npz(0)
    cache.write_text("a file where the folder should be")
    assert np.array_equal(load_images(path).train.images, pixels(4))
    assert "stays in memory" in caplog.text


def test_what_cannot_be_decoded_leaves_nothing(npz, cache):
    path = npz(0)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError):
        load_images(path)
    assert files(cache) == []
