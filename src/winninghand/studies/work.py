"""Working through a study, run by run; what is done already is not done again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from winninghand.base.device import best_device
from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write
from winninghand.evaluation import save_table, write_rows
from winninghand.images import ImageSet
from winninghand.studies.entries import Entry, entries, station
from winninghand.studies.finished import (
    CardRecord,
    Finished,
    card_in,
    is_trained,
    keep_record,
    kept_record,
)
from winninghand.studies.measuring import kept_table, measure
from winninghand.studies.study import Measuring, Study
from winninghand.training import new_run


def work_through(
    study: Study, images: ImageSet, out: Path, announce: Callable[[str], None], finished: bool = False
) -> Iterator[Finished]:
    """Train and measure the runs of a study in folders below `out`, yielding each as it is done.

    A run leaves `card.card`, `card.json` with its size and accuracies, `cells.parquet` with one row
    per cell and `answers.npz` with the outcome of every image. Where another run has been through its
    first phases already, it goes on from there. A study started again goes on where it was; a run
    whose card was deleted after it was measured counts as done. Runs that are not trained yet are
    left out where only what is `finished` is asked for.
    """
    runs = entries(study)
    for number, entry in enumerate(runs, start=1):
        folder, before = out / entry.name, station(entry, runs)
        if finished and not is_trained(folder):
            continue
        announce(f"{number}/{len(runs)} {entry.name}")
        if before is not None and not is_trained(folder):
            _go_on(folder, out / before.name)
        yield _finished(entry, study.evaluation, images, folder)


def _go_on(folder: Path, before: Path) -> None:
    """Begin a run at the checkpoint that another, whose phases are its first, ended with."""
    if (folder / "checkpoint.pt").exists() or not (before / "checkpoint.pt").exists():
        return
    # The checkpoint comes last: once it is there, so is what it needs.
    for name in ("rewind.pt", "checkpoint.pt"):
        if (before / name).exists():
            with atomic_write(folder / name) as tmp:
                shutil.copyfile(before / name, tmp)


def _finished(entry: Entry, settings: Measuring, images: ImageSet, folder: Path) -> Finished:
    run, metadata = new_run(entry.recipe, images), settings.model_dump(mode="json")
    run.folder(folder)  # refused before anything is taken from it where it is of other images
    record, table = kept_record(folder), kept_table(folder / "answers.npz", metadata)
    if record is not None and table is not None:
        return Finished(entry, folder, record, table)
    if record is not None and not card_in(folder).exists():
        raise InputError(
            f"{card_in(folder)} is needed to measure it again; delete the folder to train it again"
        )
    card = run.play(folder)
    if table is None:
        table = measure(card, images.test, settings, best_device(), entry.name)
        about = {"run": entry.name, "choice": json.dumps(entry.choice), "images": len(table.clean.correct)}
        write_rows([{**about, **row} for row in table.rows()], folder / "cells.parquet")
        save_table(table, folder / "answers.npz", **metadata)
    record = CardRecord(bytes=card_in(folder).stat().st_size, accuracies=dict(card.metadata.accuracies))
    keep_record(record, folder)
    return Finished(entry, folder, record, table)
