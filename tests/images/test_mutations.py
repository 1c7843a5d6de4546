"""Files of every kind with some bytes changed: they are read or refused in one line, and end nothing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from winninghand.base.errors import InputError
from winninghand.images import load_images
from winninghand.images.pictures import Picture, decoded

EXTREMES = [b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\1\0", b"\0\0\0\0", b"\x80"]


def mutants(whole, count):
    """Yield the content with bytes drawn anew, cut out, or set to what sizes overflow at."""
    generator = np.random.default_rng(len(whole))
    for _ in range(count):
        mutant = bytearray(whole)
        for place in generator.integers(0, len(whole), generator.integers(1, 5)):
            match generator.integers(4):
                case 0:
                    del mutant[place : place + 3]
                case 1:
                    extreme = EXTREMES[generator.integers(len(EXTREMES))]
                    mutant[place : place + len(extreme)] = extreme
                case _:
                    mutant[place : place + 1] = bytes([generator.integers(256)])
        yield bytes(mutant)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP"])
def test_mutated_pictures(pixels, kind):
    file = io.BytesIO()
    Image.fromarray(pixels(1)[0]).save(file, kind)
    read = 0
    for mutant in mutants(file.getvalue(), 60):
        try:
            assert decoded([Picture("p", mutant)], (4, 4)).shape == (1, 4, 4, 3)
            read += 1
        except InputError as error:
            assert "\n" not in str(error)
    assert read < 60


def outcomes(path, place, count):
    """Return how many mutants of the file are read and how many are refused."""
    found = {"read": 0, "refused": 0}
    for mutant in mutants(path.read_bytes(), count):
        path.write_bytes(mutant)
        try:
            load_images(place)
            found["read"] += 1
        except InputError as error:
            assert "\n" not in str(error)
            found["refused"] += 1
    return found


def test_mutated_npz_files(tmp_path, pixels, monkeypatch):
    monkeypatch.setenv("WINNINGHAND_CACHE", str(tmp_path / "a.npz" / "none"))
    labels = np.array([0, 1, 1])
    np.savez(
        tmp_path / "a.npz",
        train_images=pixels(3),
        train_labels=labels,
        test_images=pixels(3),
        test_labels=labels,
    )
    assert outcomes(tmp_path / "a.npz", tmp_path / "a.npz", 150)["refused"] > 50


def test_mutated_parquet_files(tmp_path, pixels, write_parquet, monkeypatch):
    monkeypatch.setenv("WINNINGHAND_CACHE", str(tmp_path / "train.parquet" / "none"))
    for split, seed in (("train", 0), ("test", 1)):
        write_parquet(tmp_path / f"{split}.parquet", pixels(2, seed=seed), [0, 1])
    assert outcomes(tmp_path / "train.parquet", tmp_path, 150)["refused"] > 50
