"""Working through a study, run by run; what is done already is not done again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from winninghand.cards import Card
from winninghand.device import best_device
from winninghand.evaluation import RobustnessTable, save_table, write_rows
from winninghand.files import written_whole
from winninghand.images import ImageSet
from winninghand.studies.entries import Entry, entries, station
from winninghand.studies.measuring import kept_table, measure
from winninghand.studies.study import Measuring, Study
from winninghand.training import train


@dataclass(frozen=True)
class Finished:
    """A run that is done: its entry, its card's file and what was measured of it."""

    entry: Entry
    card: Path
    table: RobustnessTable


def work_through(
    study: Study, images: ImageSet, out: Path, announce: Callable[[str], None], finished: bool = False
) -> Iterator[Finished]:
    """Train and measure the runs of a study in folders below `out`, yielding each as it is done.

    A run leaves `card.card`, `cells.parquet` with one row per cell and `answers.npz` with the
    outcome of every image. Where another run has been through its first phases already, it goes
    on from there. A study started again goes on where it was. Runs that have no card yet are left
    out where only what is `finished` is asked for.
    """
    runs = entries(study)
    for number, entry in enumerate(runs, start=1):
        folder, before = out / entry.name, station(entry, runs)
        if finished and not (folder / "card.card").exists():
            continue
        announce(f"{number}/{len(runs)} {entry.name}")
        if before is not None:
            _go_on(folder, out / before.name)
        card = train(entry.recipe, images, folder)
        yield Finished(entry, folder / "card.card", _measured(entry, card, study.evaluation, images, folder))


def _go_on(folder: Path, before: Path) -> None:
    """Begin a run at the checkpoint that another, whose phases are its first, ended with."""
    if (folder / "checkpoint.pt").exists() or not (before / "checkpoint.pt").exists():
        return
    # The checkpoint comes last: once it is there, so is what it needs.
    for name in ("rewind.pt", "checkpoint.pt"):
        if (before / name).exists():
            with written_whole(folder / name) as aside:
                shutil.copyfile(before / name, aside)


def _measured(
    entry: Entry, card: Card, settings: Measuring, images: ImageSet, folder: Path
) -> RobustnessTable:
    path, facts = folder / "answers.npz", settings.model_dump(mode="json")
    table = kept_table(path, facts)
    if table is None:
        table = measure(card, images.test, settings, best_device(), entry.name)
        about = {"run": entry.name, "choice": json.dumps(entry.choice), "images": len(table.clean.correct)}
        write_rows([{**about, **row} for row in table.rows()], folder / "cells.parquet")
        save_table(table, path, **facts)
    return table
