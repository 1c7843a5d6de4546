"""The files that hold a study's cells: `cells.parquet`, and beside it a part per run while it grows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from winninghand.base.errors import InputError
from winninghand.base.extras import needed
from winninghand.base.files import atomic_write
from winninghand.images.shards.parquet_files import batches, opened, unreadable
from winninghand.results.predecessor import as_of_today, as_stored
from winninghand.results.schema import CELL_COLUMNS, RUN_COLUMNS, arrow_schema, check_schema, pyarrow

PARTS, WHOLE = "cells", "cells.parquet"

_DIGEST = b"winninghand.digest"
_NEEDED = (
    "run",
    "kind",
    "measured_on",
    "data",
    "evaluation",
    *(name for name in CELL_COLUMNS if name != "weights"),
)
_FRACTIONS = (
    *("last_validation_accuracy", "validation_accuracy", "test_accuracy"),
    *("accuracy", "accuracy_low", "accuracy_high", "expected_calibration_error", "rms_calibration_error"),
)
_RANGES = dict.fromkeys(_FRACTIONS, (-1e-6, 1 + 1e-6)) | {
    "severity": (0, 5),
    "images": (1, 2**31),
    "mean_passes": (0, 1e6),
    "seconds": (0, 1e12),
    **dict.fromkeys(("nonzero", "macs", "nonzero_macs", "macs_trained"), (0, 2**63 - 1)),
    **dict.fromkeys(("milliseconds_sparse", "milliseconds_torch"), (0, 1e9)),
}
"""What measured values lie in, rounding allowed for."""


def parts(folder: Path) -> list[Path]:
    """Return the parts that are whole; those that are being written have a dot before their names."""
    return [path for path in sorted((folder / PARTS).glob("*.parquet")) if not path.name.startswith(".")]


def read_cells(folder: Path) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """Return all rows; of a run in a part and in the whole file the part counts."""
    arrow, schema = pyarrow(), arrow_schema({**RUN_COLUMNS, **CELL_COLUMNS})
    tables = _read_parts(folder, schema)
    whole = folder / WHOLE
    if whole.is_file():
        table = _read(whole, schema)
        newer = {pair for part in tables for pair in zip(*_columns(part, "run", "measured_on"), strict=True)}
        kept = [pair not in newer for pair in zip(*_columns(table, "run", "measured_on"), strict=True)]
        tables.insert(0, table.filter(arrow.array(kept, arrow.bool_())))
    return arrow.concat_tables(tables) if tables else schema.empty_table()


def _read_parts(folder: Path, schema: Any) -> list[Any]:  # noqa: ANN401 (pyarrow has no types)
    """Return the rows of each part; the study may make one file of them meanwhile."""
    while True:
        found = parts(folder)
        try:
            return [_read(path, schema) for path in found]
        except InputError:
            if all(path.exists() for path in found):
                raise


def convert_cells(folder: Path) -> None:
    """Write files of earlier versions anew, so that all files of a growing study have the same columns."""
    schema = arrow_schema({**RUN_COLUMNS, **CELL_COLUMNS})
    for path in (*parts(folder), folder / WHOLE):
        if path.is_file() and not set(schema.names).issubset(opened(path).schema_arrow.names):
            write_cells(_read(path, schema), path)


def write_cells(table: Any, path: Path) -> None:  # noqa: ANN401 (pyarrow has no types)
    """Write rows with checksums of their pages and a digest of all, whole or not at all."""
    parquet = needed("pyarrow.parquet", "parquet", "for the results of studies")
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _DIGEST: _digest(table)})
    # Who reads all *.parquet of a growing study is to find none that is half written.
    with atomic_write(path, keep_suffix=False) as tmp:
        parquet.write_table(table, str(tmp), compression="zstd", write_page_checksum=True)


def _read(path: Path, schema: Any) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """Return the rows of a file; one without a digest, as of 0.1, is checked by its pages only."""
    try:
        found = opened(path).schema_arrow
        metadata = found.metadata or {}
        number = _number(metadata.get(b"winninghand.schema", b"0"))
        check_schema(number, path)
        schema = as_stored(schema, number, found.names)
        lacking = set(schema.names) - set(found.names)
        if lacking:
            raise InputError(f"{path} lacks the column {sorted(lacking)[0]!r}; get it again")
        # A later version may have added columns; the digest is of them, too.
        added = [one for one in found if one.name not in schema.names]
        whole = pyarrow().schema([*schema, *added], metadata=schema.metadata)
        rows = list(batches(path, whole.names, 1024))
        table = pyarrow().Table.from_batches(rows) if rows else whole.empty_table()
        try:
            table = table.select(whole.names).cast(whole)
            table.validate(full=True)
        except (ValueError, NotImplementedError) as error:  # those of pyarrow are of these kinds
            raise unreadable(path, error) from error
        digest = _digest(table)
        table = as_of_today(table)
        _check(table, path)
        if metadata.get(_DIGEST) not in (None, digest):
            raise InputError(f"{path} is damaged: its content does not fit its digest; get it again")
    except InputError as error:
        raise InputError(f"{error}, or delete it to measure again") from error
    return table


def _check(table: Any, path: Path) -> None:  # noqa: ANN401 (pyarrow has no types)
    """Raise `InputError` where rows lack a value, or hold one that nothing measured can have."""
    compute = needed("pyarrow.compute", "parquet", "for the results of studies")
    wrong = [name for name in _NEEDED if table.column(name).null_count]
    for name, (least, most) in _RANGES.items():
        column = table.column(name).drop_null()
        inside = compute.and_(compute.greater_equal(column, least), compute.less_equal(column, most))
        if not compute.all(inside, min_count=0).as_py():  # NaN lies nowhere
            wrong.append(name)
    if not wrong and [len(bits) for bits in table.column("correct").to_pylist()] != [
        (images + 7) // 8 for images in table.column("images").to_pylist()
    ]:
        wrong.append("correct")
    weights = compute.list_flatten(table.column("weights").combine_chunks())
    inside = compute.and_(compute.greater_equal(weights, -1e-6), compute.less_equal(weights, 1 + 1e-6))
    if weights.null_count or not compute.all(inside, min_count=0).as_py():
        wrong.append("weights")
    if wrong:
        raise InputError(f"{path} is damaged: its column {wrong[0]!r} holds what cannot be; get it again")


def _digest(table: Any) -> bytes:  # noqa: ANN401 (pyarrow has no types)
    """Return a digest of the values of a table, whatever they are stored as."""
    found = hashlib.blake2b(digest_size=16)
    for name in table.column_names:
        found.update(repr((name, table.column(name).to_pylist())).encode())
    return found.hexdigest().encode()


def _number(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) < 10 else None


def _columns(table: Any, *names: str) -> list[list[Any]]:  # noqa: ANN401 (pyarrow has no types)
    return [table.column(name).to_pylist() for name in names]
