"""Folders of image files: `train/CLASS/…` and `test/CLASS/…`."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np

from winninghand.base.errors import InputError, shown
from winninghand.images.checks import Int64Array, UInt8Array
from winninghand.images.image_set import ImageSet
from winninghand.images.pictures import Picture, decoded, image_files, left_out
from winninghand.images.resizing import Size
from winninghand.images.source import Source, image_set

_LOG = logging.getLogger(__name__)
_SPLITS = ("train", "test")
Classes = dict[str, list[Path]]


def class_folders(folder: Path) -> Source | None:
    """Return the image set in `folder`, or `None` where it has neither `train/` nor `test/`.

    Classes are the sorted names of the folders under `train/`; images are files at any depth
    below, told by their suffixes; how many others there are is logged in one line. Raises `InputError`
    where a split or a class has no images or where the two splits have different classes.
    """
    if not any((folder / split).is_dir() for split in _SPLITS):
        return None
    others: Counter[str] = Counter()
    train, test = (_classes(folder / split, others) for split in _SPLITS)
    for name in sorted(set(train) ^ set(test)):
        there, missing = _SPLITS if name in train else reversed(_SPLITS)
        raise InputError(
            f"{folder} has class {name!r} under {there}/ but not under {missing}/; add or remove it"
        )
    files = tuple(path for part in (train, test) for paths in part.values() for path in paths)
    name = folder.resolve().name
    if others:
        _LOG.warning("%s: %s", shown(folder), left_out(others))
    return Source(name, files, lambda size: _decode(name, train, test, size))


def _classes(split: Path, others: Counter[str]) -> Classes:
    """Return the image files of each class of a split, sorted; other files are added to `others`."""
    folders = sorted(path for path in split.glob("[!.]*") if path.is_dir())
    if not folders:
        raise InputError(f"{split} holds no class folders; add one folder of images per class")
    classes: Classes = {}
    place = split.resolve()
    for folder in folders:
        if place.is_relative_to(folder.resolve()):
            raise InputError(f"the class folder {folder} is a link to what it lies in; remove it")
        classes[folder.name], beside = image_files(folder)
        if not classes[folder.name]:
            also = f": {left_out(beside)}" if beside else ""
            raise InputError(f"the class folder {folder} holds no images{also}; add some or remove it")
        others += beside
    return classes


def _decode(name: str, train: Classes, test: Classes, size: Size | None) -> ImageSet:
    return image_set(name, _split(train, size), _split(test, size), list(train))


def _split(classes: Classes, size: Size | None) -> tuple[UInt8Array, Int64Array]:
    pictures = [Picture(str(path), path) for paths in classes.values() for path in paths]
    counts = [len(paths) for paths in classes.values()]
    return decoded(pictures, size), np.repeat(np.arange(len(counts), dtype=np.int64), counts)
