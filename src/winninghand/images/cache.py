"""Decoded once: image arrays kept in a cache folder and mapped into memory."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import InputError, shown
from winninghand.base.files import atomic_write
from winninghand.images.image_set import ImageSet
from winninghand.images.pictures import broken_error
from winninghand.images.preparation import Origin, Preparation
from winninghand.images.resizing import shorter_side
from winninghand.images.source import Source

DECODE_VERSION = 3
"""To be raised by whoever changes what decoding gives, so that older arrays are left alone."""

_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
_ROWS_AT_ONCE = 1024
_REMEDY = "replace or remove it"
_LOG = logging.getLogger(__name__)


def decoded_once(source: Source, how: Preparation) -> ImageSet:
    """Return the image set decoded as `how` says, from the cache where the same files were decoded so before.

    The cache is `$WINNINGHAND_CACHE/images`, else `~/.cache/winninghand/images`, and may be
    deleted at any time. Where it cannot be written the images stay in memory.
    """
    if not source.files or how.stream:
        return source.decode(how)
    try:
        folder = cache_folder() / "images" / _key(source, how)
        as_they_are = cache_folder() / "images" / _key(source, how.model_copy(update={"size": None}))
    except (OSError, RuntimeError) as error:  # a file that went away, or no home folder
        _LOG.warning("%s is not cached: %s", shown(source.name), shown(error))
        return source.decode(how)
    cached = _read(as_they_are if _is_of(as_they_are, how) else folder, source.name, how)
    if cached is not None:
        return cached
    images = source.decode(how)
    try:
        _write(folder, images)
    except (OSError, InputError) as error:
        _LOG.warning("%s stays in memory: %s", shown(source.name), shown(error))
        return images
    return _read(folder, source.name, how) or images


def cache_folder() -> Path:
    """Return the folder that may be deleted at any time; `RuntimeError` where there is no home folder."""
    if chosen := os.environ.get("WINNINGHAND_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "winninghand"


def _key(source: Source, how: Preparation) -> str:
    """Return a hash that changes with the files, the size asked for and the way of decoding.

    Whether broken files are left out does not matter: a set says which it is without.
    """
    # Once test images were drawn from broken files, too.
    division = ("readable", how.test_fraction, how.split_seed) if source.drawn else None
    asked = None if how.size is None else (how.size, how.transform)
    stamps = []
    for path in source.files:
        # A link to what is gone is a broken image, which may be left out.
        status = path.stat() if path.exists() else path.lstat()
        stamps.append((os.path.realpath(path), status.st_size, status.st_mtime_ns))
    identity = json.dumps([DECODE_VERSION, source.name, asked, division, stamps])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _write(folder: Path, images: ImageSet) -> None:
    train, test = images.train, images.test
    arrays: list[npt.NDArray[Any]] = [train.images[:], train.labels, test.images[:], test.labels]
    sums = {}
    for name, array in zip(_ARRAYS, arrays, strict=True):
        with atomic_write(folder / f"{name}.npy") as path:
            np.save(path, array, allow_pickle=False)
        sums[name] = _checksum(array)
    # The class names come last: where they are, everything is.
    with atomic_write(folder / "classes.json") as path:
        said = {"classes": images.classes, "checksums": sums, "origin": _said(images.origin)}
        path.write_text(json.dumps(said), encoding="utf-8")


def _said(origin: Origin | None) -> dict[str, Any]:
    """Return what is kept of an origin: all but how the images were asked for."""
    return {
        key: value for key, value in vars(origin or Origin(Preparation())).items() if key != "preparation"
    }


def _is_of(folder: Path, how: Preparation) -> bool:
    """Say whether a cache folder of images as they are holds images of the size that is asked for."""
    if shorter_side(how.transform) is not None:  # which changes these, too
        return False
    try:
        shape: tuple[int, ...] = np.load(folder / "train_images.npy", mmap_mode="r").shape
    # What is no cache, or one that was damaged, may raise nearly anything.
    except Exception:
        return False
    return shape[1:3] == how.size


def _read(folder: Path, name: str, how: Preparation) -> ImageSet | None:
    """Return the image set in a cache folder, or `None` where none is, or another than was written.

    Raises `InputError` where broken files were left out of it and are not to be.
    """
    if not (folder / "classes.json").exists():
        return None
    try:
        said = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
        # Copy on write: a writable array, as torch wants it, that never changes the file.
        arrays = {part: np.load(folder / f"{part}.npy", mmap_mode="c").view(np.ndarray) for part in _ARRAYS}
        for part, array in arrays.items():
            if array.dtype.kind not in "iu" or _checksum(array) != said["checksums"][part]:
                raise ValueError(f"{part} has changed")
        train, test = ((arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in ("train", "test"))
        images = ImageSet.from_arrays(train, test, said["classes"], name)
        origin = Origin(how, **{**said["origin"], "broken": tuple(said["origin"]["broken"])})
    # What is no cache, or one that was damaged, may raise nearly anything.
    except Exception as error:
        _LOG.warning("decoding %s again, its cache is damaged: %s", shown(name), shown(error))
        return None
    if origin.broken and not how.skip_broken:
        count = len(images.train) + len(images.test) + len(origin.broken)
        raise broken_error(count, [f"{reason}; {_REMEDY}" for reason in origin.broken])
    return replace(images, origin=origin)


def _checksum(array: npt.NDArray[Any]) -> int:
    """Return the CRC-32 of an array's values (0.05 s for CIFAR-10), which finds what a disk does to them."""
    total = 0
    for begin in range(0, len(array), _ROWS_AT_ONCE):
        total = zlib.crc32(np.ascontiguousarray(array[begin : begin + _ROWS_AT_ONCE]).data, total)
    return total
