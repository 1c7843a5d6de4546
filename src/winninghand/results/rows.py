"""Rows of plain values as a file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from winninghand.base.errors import InputError
from winninghand.base.extras import needed
from winninghand.base.files import atomic_write


def checked_rows_path(path: Path | str) -> Path:
    """Return a path that rows can be written to, or raise `InputError` for an unknown suffix.

    Raises it too where a Parquet file is wanted and pyarrow is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise InputError(f"rows are written to a .parquet or a .csv file, not to {str(path)!r}; rename it")
    if suffix == ".parquet":
        needed("pyarrow.parquet", "parquet", "to write .parquet files")
    return Path(path)


def write_rows(rows: Sequence[dict[str, Any]], path: Path | str) -> None:
    """Write rows of plain values, all with the same keys, as Parquet or CSV by the suffix.

    The file is written whole or not at all. Raises what `checked_rows_path` raises.
    """
    suffix = checked_rows_path(path).suffix.lower()
    with atomic_write(path) as tmp:
        if suffix == ".parquet":
            table = needed("pyarrow", "parquet", "to write .parquet files").Table.from_pylist(list(rows))
            needed("pyarrow.parquet", "parquet", "to write .parquet files").write_table(table, str(tmp))
            return
        with tmp.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
