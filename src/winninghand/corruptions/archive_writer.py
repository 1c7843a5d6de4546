"""Writing CIFAR-10-C's layout, file by file, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write
from winninghand.corruptions.archive import (
    DESCRIPTION,
    LABELS,
    Archive,
    Description,
    Int64Array,
    UInt8Array,
    read_description,
)
from winninghand.corruptions.catalog import CORRUPTIONS, SEVERITIES, corruption_names, missing_corruptions
from winninghand.corruptions.corrupt import checked_images, checked_severity, corrupt

Progress = Callable[[str, int], None]

PIXELS_AT_ONCE = 2**22


def write_archive(
    images: UInt8Array,
    labels: Int64Array,
    folder: Path | str,
    names: str | Sequence[str] = "common",
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    indices: Int64Array | None = None,
    progress: Progress = lambda name, severity: None,
) -> Archive:
    """Write `images` under every corruption that `names` selects to `folder`, and return the archive.

    `images` is uint8 (N, H, W, 3) and may be memory-mapped; `labels` is whole numbers (N,);
    `indices` (N,) are the images' places in their split when they are not the first ones in
    order. `progress` is called with each cell that is done, those found finished included.

    A file that is there already is kept when the folder was begun with the same images, labels,
    severities and seed. Raises `InputError` when it was not, or when something else is there,
    and before anything is written.
    """
    folder = Path(folder)
    levels = tuple(sorted({checked_severity(severity) for severity in severities}))
    chosen = corruption_names(names)
    _check(images, labels, chosen, levels)
    description = Description(
        seed=seed,
        severities=levels,
        digest=_digest(images, labels),
        indices=None if indices is None else tuple(int(index) for index in indices),
    )
    _begin(folder, description)
    with atomic_write(folder / LABELS) as tmp:
        np.save(tmp, np.tile(labels, len(levels)).astype(_smallest_type(labels)))
    archive = Archive(folder, np.asarray(labels, dtype=np.int64), levels, description)
    for name in chosen:
        if _is_finished(archive, name, images.shape):
            for level in levels:
                progress(name, level)
        else:
            _write_corruption(archive, name, images, seed, progress)
    return archive


def _write_corruption(archive: Archive, name: str, images: UInt8Array, seed: int, progress: Progress) -> None:
    """Write one corruption's file, never holding more than a few million pixels in memory."""
    count, height, width = images.shape[:3]
    length = max(1, PIXELS_AT_ONCE // (height * width))
    indices = archive.indices
    shape = (count * len(archive.severities), height, width, 3)
    with atomic_write(archive.path_of(name)) as tmp:
        file = open_memmap(tmp, mode="w+", dtype=np.uint8, shape=shape)
        for place, severity in enumerate(archive.severities):
            for begin in range(0, count, length):
                part = slice(begin, min(begin + length, count))
                rows = slice(place * count + part.start, place * count + part.stop)
                file[rows] = corrupt(images[part], name, severity, seed, indices=indices[part])
            progress(name, severity)
        file.flush()
        del file


def _is_finished(archive: Archive, name: str, shape: tuple[int, ...]) -> bool:
    """Return whether a whole file of this corruption is there already."""
    try:
        return archive.cell(name, archive.severities[0]).shape[1:3] == shape[1:3]
    except InputError:
        return False


def _begin(folder: Path, description: Description) -> None:
    """Leave the description in the folder, or raise `InputError` when it is another archive's."""
    found = read_description(folder)
    if found is None:
        if any((folder / f"{name}.npy").exists() for name in CORRUPTIONS):
            raise InputError(f"{folder} holds an archive that was not written here; choose another folder")
        with atomic_write(folder / DESCRIPTION) as tmp:
            tmp.write_text(description.as_json())
    elif found != description:
        raise InputError(
            f"{folder} holds an archive of other images, severities or seed; choose another folder"
        )


def _check(images: UInt8Array, labels: Int64Array, names: Sequence[str], levels: tuple[int, ...]) -> None:
    if not levels:
        raise InputError("no severity is selected; name some of 1 to 5")
    for reason in missing_corruptions(names).values():
        raise InputError(reason)
    checked_images(images)
    if np.shape(labels) != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels must be {len(images)} whole numbers, one per image")


def _digest(images: UInt8Array, labels: Int64Array) -> str:
    """Return a digest of the clean images, their shape and their labels."""
    digest = hashlib.sha256(str(images.shape).encode())
    for begin in range(0, len(images), 1024):
        digest.update(np.ascontiguousarray(images[begin : begin + 1024]).tobytes())
    digest.update(np.asarray(labels, dtype=np.int64).tobytes())
    return digest.hexdigest()


def _smallest_type(labels: Int64Array) -> type[np.generic]:
    """Return uint8, as in the official files, where the labels fit it."""
    return np.uint8 if labels.min() >= 0 and labels.max() <= 255 else np.int64
