"""A study's log: every run that it plans, in order, with what it took and what came of it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from winninghand.studies.entries import Entry, entries, station
from winninghand.studies.finished import Finished
from winninghand.studies.study import Study

COLUMNS = ("", "run", "goes on from", "epochs", "minutes", "held out", "clean", "robust", "bytes")


def log(study: Study, finished: Sequence[Finished], out: Path) -> list[list[str]]:
    """Return the rows of the log; a run that is not finished has only its name.

    Epochs and minutes are those of the run's own training, without what it went on from;
    accuracies are percent, `held out` that of the held-out training images.
    """
    runs, done = entries(study), {run.entry.name: run for run in finished}
    return [
        [
            str(number),
            entry.name,
            *(_metadata(done[entry.name], runs, out) if entry.name in done else [""] * 7),
        ]
        for number, entry in enumerate(runs, start=1)
    ]


def _metadata(run: Finished, runs: Sequence[Entry], out: Path) -> list[str]:
    before = station(run.entry, runs)
    epochs = _epochs(run.folder)
    own = epochs[0 if before is None else len(_epochs(out / before.name)) :]
    validation = epochs[-1].get("validation_accuracy") if epochs else None
    return [
        "" if before is None else before.name,
        str(len(own)),
        f"{sum(float(epoch['seconds']) for epoch in own) / 60:.1f}",
        "" if not validation else f"{100 * float(validation):.2f}",
        f"{100 * run.table.clean_accuracy:.2f}",
        f"{100 * run.table.robust_accuracy:.2f}",
        f"{run.record.bytes:,}",
    ]


def _epochs(folder: Path) -> list[dict[str, str]]:
    path = folder / "metrics.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
