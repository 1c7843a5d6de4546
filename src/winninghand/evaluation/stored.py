"""A model's answers, image by image, as a file: comparisons can be made long after the measuring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write
from winninghand.evaluation.outcome import Outcome
from winninghand.evaluation.table import Cell, RobustnessTable

_PARTS = ("correct", "confidence", "passes")


def save_table(table: RobustnessTable, path: Path | str, **metadata: Any) -> None:  # noqa: ANN401 (any JSON)
    """Write a table to a `.npz` file, whole or not at all, with further `metadata` as JSON values."""
    outcomes = [table.clean, *(cell.outcome for cell in table.cells)]
    header = {
        "cells": [(cell.corruption, cell.severity, cell.source) for cell in table.cells],
        "batch_size": table.batch_size,
        "seed": table.seed,
        "missing": dict(table.missing),
        "adaptation": table.adaptation,
        "metadata": metadata,
    }
    arrays: dict[str, Any] = {
        part: np.stack([getattr(outcome, part) for outcome in outcomes]) for part in _PARTS
    }
    with atomic_write(path) as tmp, tmp.open("wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)


def load_table(path: Path | str) -> tuple[RobustnessTable, dict[str, Any]]:
    """Return the table of a file that `save_table` wrote, and the metadata; nothing is unpickled.

    Raises `InputError` for a file that is damaged or of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            parts = [file[part] for part in _PARTS]
        clean, *outcomes = (Outcome(*rows) for rows in zip(*parts, strict=True))
        cells = tuple(
            Cell(corruption, severity, outcome, source)
            for (corruption, severity, source), outcome in zip(header["cells"], outcomes, strict=True)
        )
        keys = ("batch_size", "seed", "missing", "adaptation")
        return RobustnessTable(clean, cells, *(header[key] for key in keys)), header["metadata"]
    except Exception as error:  # a damaged archive has many kinds of complaint
        raise InputError(
            f"cannot read the answers in {path} ({type(error).__name__}); delete the file"
        ) from error
