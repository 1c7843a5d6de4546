"""Archives of corrupted images: where they lie, and whether they fit a split."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from winninghand.base.errors import InputError
from winninghand.corruptions import Archive, corruption_names, open_archive, published_set
from winninghand.corruptions.pictures import severity_folders
from winninghand.images import Split
from winninghand.images.checks import Int64Array

_OFFICIAL = {
    "cifar10": "CIFAR-10-C",
    "cifar100": "CIFAR-100-C",
    "imagenet": "ImageNet-C",
    "tiny-imagenet": "Tiny-ImageNet-C",
}


def find_archive(name: str, root: Path | str | None) -> Archive | None:
    """Return the archive of the image set `name` that lies in the folder `root`, if one does.

    It is looked for in `CIFAR-10-C` for `cifar10`, in `CIFAR-100-C` for `cifar100`, in `ImageNet-C` and
    `Tiny-ImageNet-C` for `imagenet` and `tiny-imagenet`, and in `NAME-C` for any
    other. Raises `InputError` when its labels are missing or damaged.
    """
    return None if root is None else open_archive(Path(root).expanduser() / _folder(name))


def find_archives(
    name: str, root: Path | str | None, corruptions: str | Sequence[str] = "common"
) -> tuple[Archive, ...]:
    """Return the archives in `root` that hold any of `corruptions` of the image set `name`.

    They are looked for in the folder of `find_archive`, and then in that with `-Bar` after its name, such
    as `CIFAR-10-C-Bar`. Raises `InputError` as `find_archive` does.
    """
    if root is None:
        return ()
    names, folder = corruption_names(corruptions), Path(root).expanduser() / _folder(name)
    # One that holds nothing of what is measured may be of other images, or damaged.
    places = [
        place
        for place in (folder, folder.with_name(f"{folder.name}-Bar"))
        if any((place / f"{one}.npy").is_file() or severity_folders(place, one) for one in names)
    ]
    return tuple(archive for archive in map(open_archive, places) if archive is not None)


def _folder(name: str) -> str:
    return _OFFICIAL.get(name, f"{name}-C")


def holds(archive: Archive, name: str, severity: int) -> bool:
    """Return whether the archive has this cell."""
    return severity in archive.severities and archive.has(name)


def rows_of(archive: Archive, split: Split, indices: Int64Array, parameters: str = "auto") -> Int64Array:
    """Return where the images of a split at `indices` stand in the archive's cells.

    Raises `InputError` where the archive is not of this split, lacks some of these images, has a
    damaged file or says that it was made by other `parameters`, as figures name them.
    """
    asked = published_set(*split.size, parameters)
    if archive.description is not None and archive.description.parameters != asked:
        own = archive.description.parameters
        raise InputError(
            f"{archive.folder} was made by the parameters of {own}, and the figures would name {asked}; "
            f"use --parameters {own}, or choose another --root"
        )
    places, count = archive.indices, len(split)
    if (archive.description is None and len(places) != count) or places.max(initial=0) >= count:
        raise InputError(
            f"{archive.folder} holds {len(places)} images a severity and the split {count}: "
            "it is another split's archive; choose another --data or --root"
        )
    differing = np.flatnonzero(archive.labels != split.labels[places])
    if len(differing):
        raise InputError(
            f"{archive.folder} has other labels than the split, first for image {places[differing[0]]}: "
            "it is an archive of other images or another order; choose another --data or --root"
        )
    rows = np.full(count, -1, dtype=np.int64)
    rows[places] = np.arange(len(places))
    if (rows[indices] < 0).any():
        raise InputError(
            f"{archive.folder} lacks {int((rows[indices] < 0).sum())} of the {len(indices)} images to be "
            f"measured; use --limit {len(places)} or less and the seed it was written with"
        )
    _check_cells(archive, split)
    return rows[indices]


def _check_cells(archive: Archive, split: Split) -> None:
    """Open every file once, so that a damaged one is found before the first cell and not after an hour."""
    for name, severity in product(archive.names, archive.severities):
        height, width = archive.cell(name, severity).shape[1:3]
        if (height, width) != split.size:
            raise InputError(
                f"the images of {archive.path_of(name)} are {height}×{width} pixels and the split's "
                f"{split.size[0]}×{split.size[1]}; choose another --data or --root"
            )
