"""What earlier versions wrote: the run folders of 0.1, and results with fewer columns. It is only read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from winninghand.base.errors import InputError
from winninghand.base.files import regular
from winninghand.evaluation import CLEAN, Cell, Outcome
from winninghand.results.runs import CellResult
from winninghand.results.schema import ADDED, CELL_COLUMNS, RUN_COLUMNS, arrow_schema, pyarrow

NEW_IN_2 = (
    *("protocol", "gate", "nonzero", "macs", "nonzero_macs", "macs_trained"),
    *("milliseconds_sparse", "milliseconds_torch"),
)
"""The columns that schema 1 has not."""

_ANSWERS, _CARD = "answers.npz", "card.json"
_PARTS = ("correct", "confidence", "passes")


def measured_before(folder: Path, evaluation: dict[str, Any]) -> list[CellResult] | None:
    """Return the cells of a run that was measured as `evaluation` says; None where there are none.

    Nothing is unpickled. Raises `InputError` for a damaged file.
    """
    path = folder / _ANSWERS
    if not path.exists():
        return None
    try:
        with np.load(regular(path), allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            parts = [file[part] for part in _PARTS]
        outcomes = [Outcome(*rows) for rows in zip(*parts, strict=True)]
        places = [(CLEAN, 0, "split"), *header["cells"]]
        cells = [
            Cell(corruption, severity, outcome, source)
            for (corruption, severity, source), outcome in zip(places, outcomes, strict=True)
        ]
        asked = header.get("facts", header.get("metadata"))
        settings = {"batch_size": header["batch_size"], "archive": None, **asked}
    except Exception as error:  # a damaged archive has many kinds of complaint
        raise InputError(f"cannot read {path} ({type(error).__name__}); delete the file") from error
    return [CellResult.of(cell) for cell in cells] if settings == evaluation else None


def card_before(folder: Path) -> dict[str, Any] | None:
    """Return what is known of a run's card, which may have been deleted: bytes and accuracies.

    The keys are `bytes`, `validation_accuracy` and `test_accuracy`; None where nothing is known.
    Raises `InputError` for a damaged file.
    """
    path = folder / _CARD
    if not path.exists():
        return None
    try:
        known = json.loads(regular(path).read_text(encoding="utf-8"))
        accuracies = known["accuracies"]
        return {
            "bytes": int(known["bytes"]),
            "validation_accuracy": accuracies.get("validation", accuracies.get("held_out")),
            "test_accuracy": accuracies.get("test"),
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged; delete the folder to start again") from error


def as_stored(schema: Any, number: int | None, names: Sequence[str]) -> Any:  # noqa: ANN401 (pyarrow)
    """Return the pyarrow schema without the columns that a file of such a number and `names` may lack."""
    new = {*(NEW_IN_2 if number == 1 else ()), *(name for name in ADDED if name not in names)}
    return pyarrow().schema([one for one in schema if one.name not in new])


def as_of_today(table: Any) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """Return rows of an earlier version with the columns of today; what those hold is unknown."""
    schema = arrow_schema({**RUN_COLUMNS, **CELL_COLUMNS})
    for name in [name for name in schema.names if name not in table.column_names]:
        table = table.append_column(name, pyarrow().nulls(len(table), schema.field(name).type))
    return table.select(schema.names).cast(schema)
