"""The corruption benchmark under a progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from winninghand.base.progress import progress_bar
from winninghand.corruptions import SEVERITIES, Archive
from winninghand.evaluation.robustness import available, checked_severities, evaluate
from winninghand.evaluation.table import RobustnessTable
from winninghand.images import Split


def evaluate_watched(
    title: str,
    model: nn.Module,
    split: Split,
    corruptions: str | Sequence[str] = "common",
    severities: Iterable[int] = SEVERITIES,
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 256,
    archive: Archive | None = None,
) -> RobustnessTable:
    """Return what `evaluate` returns, and raise what it raises; a bar with a title shows how far it is."""
    levels = checked_severities(severities)
    names, _ = available(corruptions, archive, levels)
    images = min(limit or len(split), len(split))
    with progress_bar(title, (1 + len(names) * len(levels)) * images) as progress:
        return evaluate(model, split, corruptions, levels, seed, limit, batch_size, progress, archive)
