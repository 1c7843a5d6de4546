"""The corruption benchmark: corrupted images are read from an archive or made as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from winninghand.base.errors import InputError
from winninghand.corruptions import SEVERITIES, Archive, corruption_names, missing_corruptions, open_archive
from winninghand.decks import adaptation_of
from winninghand.evaluation.archived import corrupted_split, holds
from winninghand.evaluation.outcome import Indices, batches_of, play
from winninghand.evaluation.table import Cell, RobustnessTable
from winninghand.images import Split

GROUPS = ("common", "extra", "all")


def evaluate(
    model: nn.Module,
    split: Split,
    corruptions: str | Sequence[str] = "common",
    severities: Iterable[int] = range(1, 6),
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
    archive: Archive | Path | str | None = None,
) -> RobustnessTable:
    """Measure a card, a deck or any classifier of float images in [0, 1] on clean and corrupted images.

    `corruptions` is `common`, `extra`, `all`, names joined by commas, or a sequence of names;
    `severities` lie in 1..5. `limit` takes a seeded, class-balanced sample of that many images,
    corrupted as they would be in the whole split. A batch holds images of one cell only: for a
    deck its size is part of the result, since a gate looks at batches. `progress` is told the
    length of every batch done. Cells that `archive`, a folder in CIFAR-10-C's layout, holds are
    taken from there, memory-mapped; every cell says its source.

    Corruptions of a group that cannot be had on this machine are left out and named in
    `missing`; one that is asked for by name raises `InputError`, as do unknown names,
    severities outside 1..5, images of the wrong size and an archive of another split.
    """
    levels = checked_severities(severities)
    found = archive if isinstance(archive, Archive) or archive is None else _opened(archive)
    names, missing = available(corruptions, found, levels)
    indices = sample(split, limit, seed)
    source = corrupted_split(split, indices, seed, found)
    clean = play(model, batches_of(split, indices, batch_size), progress)
    cells = tuple(
        Cell(
            name,
            level,
            play(model, source.batches(name, level, batch_size), progress),
            source.source(name, level),
        )
        for name in names
        for level in levels
    )
    return RobustnessTable(clean, cells, batch_size, seed, missing, adaptation_of(model))


def available(
    corruptions: str | Sequence[str],
    archive: Archive | None = None,
    severities: Sequence[int] = SEVERITIES,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the corruptions that can be had, and for the others of a group the reason why not.

    What `archive` holds at all of `severities` can be had whatever else is missing.
    """
    names = corruption_names(corruptions)
    needed = [name for name in names if not all(holds(archive, name, level) for level in severities)]
    missing = missing_corruptions(needed)
    if missing and corruptions not in GROUPS:
        name, reason = next(iter(missing.items()))
        raise InputError(f"{name} cannot be had here: {reason}")
    return tuple(name for name in names if name not in missing), missing


def checked_severities(severities: Iterable[int]) -> tuple[int, ...]:
    """Return the severities as a tuple, or raise `InputError` unless all lie in 1..5."""
    levels = tuple(severities)
    if not levels or any(level not in range(1, 6) for level in levels):
        raise InputError(f"severities must lie in 1..5, not {list(levels)}")
    return levels


def sample(split: Split, limit: int | None, seed: int) -> Indices:
    """Return the indices of a seeded, class-balanced sample of `limit` images, or of all of them."""
    if limit is None or limit >= len(split):
        return np.arange(len(split))
    if limit < 1:
        raise InputError(f"the limit must be at least 1 image, not {limit}")
    return split.balanced_sample(limit, seed)


def _opened(folder: Path | str) -> Archive:
    archive = open_archive(folder)
    if archive is None:
        raise InputError(f"{folder} holds no archive: no .npy file in it is named after a corruption")
    return archive
