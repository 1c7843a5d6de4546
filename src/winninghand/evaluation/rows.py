"""Rows of figures as a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write

Writer = Callable[[pa.Table, str], None]

_WRITERS: dict[str, Writer] = {".parquet": pa.parquet.write_table, ".csv": pa.csv.write_csv}


def checked_rows_path(path: Path | str) -> Path:
    """Return a path that rows can be written to, or raise `InputError` for an unknown suffix."""
    if Path(path).suffix.lower() not in _WRITERS:
        raise InputError(f"rows are written to a .parquet or a .csv file, not to {str(path)!r}; rename it")
    return Path(path)


def write_rows(rows: Sequence[dict[str, Any]], path: Path | str) -> None:
    """Write rows of plain values as Parquet or CSV, by the suffix, whole or not at all."""
    write = _WRITERS[checked_rows_path(path).suffix.lower()]
    with atomic_write(path) as tmp:
        write(pa.Table.from_pylist(list(rows)), str(tmp))
