"""Working through a study, run by run; what is done already is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from winninghand.cards import Card
from winninghand.device import best_device
from winninghand.evaluation import CLEAN as CLEAN
from winninghand.evaluation import RobustnessTable, available, evaluate
from winninghand.files import written_whole
from winninghand.images import ImageSet
from winninghand.progress import progress
from winninghand.studies.study import Entry, Measuring, Study, entries
from winninghand.training import train


@dataclass(frozen=True)
class Finished:
    """A run that is done: its entry, its card's bytes and the accuracy of each cell.

    `cells` maps (corruption, severity) to a fraction; (`clean`, 0) are the images as they are.
    """

    entry: Entry
    bytes: int
    cells: dict[tuple[str, int], float]


def work_through(
    study: Study, images: ImageSet, out: Path, announce: Callable[[str], None]
) -> Iterator[Finished]:
    """Train and measure the runs of a study in folders below `out`, yielding each as it is done.

    A run leaves `card.card` and `cells.parquet`, one row per cell. A study started again goes on
    where it was.
    """
    runs = entries(study)
    for number, entry in enumerate(runs, start=1):
        announce(f"{number}/{len(runs)} {entry.name}")
        yield _finished(entry, study.evaluation, images, out / entry.name)


def _finished(entry: Entry, measuring: Measuring, images: ImageSet, folder: Path) -> Finished:
    path, settings = folder / "cells.parquet", measuring.model_dump_json().encode()
    if not path.exists() or (pq.read_schema(path).metadata or {}).get(b"evaluation") != settings:
        card = train(entry.recipe, images, folder)
        table = pa.Table.from_pylist(list(_rows(entry, _measured(card, measuring, images, entry.name))))
        with written_whole(path) as aside:
            pq.write_table(table.replace_schema_metadata({b"evaluation": settings}), aside)
    cells = {(row["corruption"], row["severity"]): row["accuracy"] for row in pq.read_table(path).to_pylist()}
    return Finished(entry, (folder / "card.card").stat().st_size, cells)


def _measured(card: Card, measuring: Measuring, images: ImageSet, name: str) -> RobustnessTable:
    cells = 1 + len(available(measuring.corruptions)[0]) * len(measuring.severities)
    count = min(measuring.limit or len(images.test), len(images.test))
    with progress(f"measuring {name}", cells * count) as advance:
        return evaluate(card.to(best_device()), images.test, advance=advance, **measuring.model_dump())


def _rows(entry: Entry, table: RobustnessTable) -> Iterator[dict[str, Any]]:
    facts = {"run": entry.name, "choice": json.dumps(entry.choice), "images": len(table.clean.correct)}
    return ({**facts, **row} for row in table.rows())
