"""`.npz` files with arrays of train and test images and labels."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import MOST_CLASSES, InputError, checked_classes
from winninghand.images.checks import check_inflation, numbered
from winninghand.images.image_set import ImageSet
from winninghand.images.preparation import Preparation
from winninghand.images.source import Source, image_set

_KEYS = ("train_images", "train_labels", "test_images", "test_labels")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LONGEST_NAME = 200
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
Arrays = dict[str, npt.NDArray[Any]]


def npz(path: Path) -> Source | None:
    """Return the image set in an `.npz` file, or `None` for anything else.

    It holds uint8 `train_images` and `test_images` (N, H, W, 3), or grey ones (N, H, W); whole
    numbers `train_labels` and `test_labels`, (N,) or (N, 1); and, if the classes have names,
    `classes`. Nothing in it is unpickled.
    """
    if path.suffix.lower() != ".npz" or not path.is_file():
        return None
    return Source(path.stem, (path,), lambda how: _decode(path, how))


def _decode(path: Path, how: Preparation) -> ImageSet:
    arrays = _arrays(path)
    images = [arrays[f"{split}_images"] for split in ("train", "test")]
    labels = [_without_last_axis(arrays[f"{split}_labels"]) for split in ("train", "test")]
    try:
        if "classes" in arrays:
            names = checked_classes(_texts(arrays["classes"]))
        else:
            labels[0], labels[1], names = numbered(labels[0], labels[1], (len(images[0]), len(images[1])))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return image_set(path.stem, (images[0], labels[0]), (images[1], labels[1]), names, how)


def _texts(names: npt.NDArray[Any]) -> list[object]:
    try:
        return list(names.ravel().tolist())
    except SystemError:  # NumPy does not check that its text consists of characters
        raise InputError("its class names are no text") from None


def _arrays(path: Path) -> Arrays:
    """Return the arrays of the file, each compared with its header before it is inflated."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            missing = [key for key in _KEYS if key not in members]
            if missing:
                raise InputError(f"{path} lacks {', '.join(missing)}; it holds {', '.join(members)}")
            wanted = {key: members[key] for key in (*_KEYS, "classes") if key in members}
            check_inflation(path, sum(info.file_size for info in wanted.values()))
            for key, info in wanted.items():
                _check_header(archive, key, info)
            return {key: _array(archive, info) for key, info in wanted.items()}
    except InputError:
        raise
    # Broken archives raise nearly anything: BadZipFile, zlib.error, NotImplementedError, ValueError …
    except Exception as error:
        raise InputError(f"{path} cannot be read as an .npz file of plain arrays ({error})") from None


def _check_header(archive: zipfile.ZipFile, key: str, info: zipfile.ZipInfo) -> None:
    """Raise `ValueError` where a member is no plain array of the size that the archive says."""
    if info.compress_type not in _METHODS:
        raise ValueError(f"{key} is compressed in a way that NumPy does not write")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in _READERS:
            raise ValueError(f"{key} has a header of version {version}")
        shape, _, kind = _READERS[version](file)
        header = file.tell()
    plain = kind.kind in "biuf" or (kind.kind in "US" and key == "classes")
    if not plain or kind.itemsize > 4 * _LONGEST_NAME:
        raise ValueError(f"{key} holds {str(kind)[:40]}")
    if min(shape, default=0) < 0 or header + math.prod(shape) * kind.itemsize != info.file_size:
        raise ValueError(f"{key} has another size than its shape {shape} says")
    if key == "classes" and math.prod(shape) > MOST_CLASSES:
        raise ValueError(f"it names {math.prod(shape)} classes")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    with archive.open(info) as file:
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _without_last_axis(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
