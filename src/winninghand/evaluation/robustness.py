"""The corruption benchmark: corrupted images are made as they are needed, nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from torch import nn

from winninghand.corruptions import corrupt, corruption_names, missing_corruptions
from winninghand.errors import InputError
from winninghand.evaluation.outcome import Batch, Indices, batches_of, play
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
    advance: Callable[[int], None] | None = None,
) -> RobustnessTable:
    """Measure a card, a deck or any classifier of float images in [0, 1] on clean and corrupted images.

    `corruptions` is `common`, `extra`, `all`, names joined by commas, or a sequence of names;
    `severities` lie in 1..5. `limit` takes a seeded, class-balanced sample of that many images,
    corrupted as they would be in the whole split. A batch holds images of one cell only: for a
    deck its size is part of the result, since a gate looks at batches. `advance` is told the
    length of every batch done.

    Corruptions of a group that cannot be had on this machine are left out and named in
    `missing`; one that is asked for by name raises `InputError`, as do unknown names,
    severities outside 1..5 and images of the wrong size.
    """
    names, missing = available(corruptions)
    levels = checked_severities(severities)
    indices = sample(split, limit, seed)
    clean = play(model, batches_of(split, indices, batch_size), advance)
    cells = tuple(
        Cell(name, level, play(model, corrupted(split, indices, name, level, seed, batch_size), advance))
        for name in names
        for level in levels
    )
    return RobustnessTable(clean, cells, batch_size, seed, missing)


def available(corruptions: str | Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the corruptions that can be had, and for the others of a group the reason why not."""
    names = corruption_names(corruptions)
    missing = missing_corruptions(names)
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


def corrupted(
    split: Split, indices: Indices, name: str, severity: int, seed: int, batch_size: int
) -> Iterator[Batch]:
    """Yield the images at `indices`, corrupted as they are in the whole split."""
    for batch in batches_of(split, indices, batch_size):
        images = corrupt(batch.images, name, severity, seed=seed, indices=batch.indices)
        yield Batch(images, batch.labels, batch.indices)
