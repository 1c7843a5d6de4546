"""Corrupted images of a split: an archive's where it holds them, else made as they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from winninghand.base.errors import InputError
from winninghand.corruptions import Archive, corrupt, open_archive
from winninghand.evaluation.outcome import Batch, Indices, batches_of
from winninghand.images import Split

Source = Literal["generated", "archive"]

_OFFICIAL = {"cifar10": "CIFAR-10-C", "cifar100": "CIFAR-100-C"}


@dataclass(frozen=True)
class CorruptedSplit:
    """The images of a split at `indices` (N,), under any corruption, one cell at a time.

    `rows` (N,) says where they stand in a cell of the archive.
    """

    split: Split
    indices: Indices
    seed: int
    archive: Archive | None
    rows: Indices

    def source(self, name: str, severity: int) -> Source:
        """Return where the images of a cell come from."""
        return "archive" if holds(self.archive, name, severity) else "generated"

    def batches(self, name: str, severity: int, batch_size: int) -> Iterator[Batch]:
        """Yield the images of a cell; generated ones are those of the whole split."""
        if self.archive is not None and holds(self.archive, name, severity):
            cell = self.archive.cell(name, severity)
            for start in range(0, len(self.rows), batch_size):
                part = slice(start, start + batch_size)
                indices = self.indices[part]
                yield Batch(cell[self.rows[part]], self.split.labels[indices], indices)
            return
        for batch in batches_of(self.split, self.indices, batch_size):
            images = corrupt(batch.images, name, severity, seed=self.seed, indices=batch.indices)
            yield Batch(images, batch.labels, batch.indices)


def corrupted_split(split: Split, indices: Indices, seed: int, archive: Archive | None) -> CorruptedSplit:
    """Return the corrupted images of a split, or raise `InputError` when the archive is not of this split."""
    rows = indices if archive is None else _rows(archive, split, indices)
    return CorruptedSplit(split, indices, seed, archive, rows)


def find_archive(name: str, root: Path | str | None) -> Archive | None:
    """Return the archive of the image set `name` that lies in the folder `root`, if one does.

    It is looked for in `CIFAR-10-C` for `cifar10`, in `CIFAR-100-C` for `cifar100` and in
    `NAME-C` for any other. Raises `InputError` when its labels are missing or damaged.
    """
    return None if root is None else open_archive(Path(root).expanduser() / _OFFICIAL.get(name, f"{name}-C"))


def holds(archive: Archive | None, name: str, severity: int) -> bool:
    """Return whether the archive has this cell."""
    return archive is not None and severity in archive.severities and archive.path_of(name).is_file()


def _rows(archive: Archive, split: Split, indices: Indices) -> Indices:
    """Return where the images of a split at `indices` stand in the archive's cells."""
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
    for name in archive.names:
        height, width = archive.cell(name, archive.severities[0]).shape[1:3]
        if (height, width) != split.size:
            raise InputError(
                f"the images of {archive.path_of(name)} are {height}×{width} pixels and the split's "
                f"{split.size[0]}×{split.size[1]}; choose another --data or --root"
            )
