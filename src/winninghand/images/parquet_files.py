"""Parquet files of strangers: what is read of one is counted, and damage raises `InputError`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from winninghand.base.errors import InputError
from winninghand.base.extras import needed
from winninghand.base.files import regular
from winninghand.images.checks import allowance, check_inflation

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_LEAST_ROW = 256
"""Bytes of memory that a row takes at least."""


def arrow() -> ModuleType:
    """Return pyarrow with its `parquet`; it is large, and imported only where a parquet file is read."""
    found = needed("pyarrow", "parquet", "to read parquet files")
    needed("pyarrow.parquet", "parquet", "to read parquet files")
    return found


def opened(path: Path) -> pq.ParquetFile:
    """Return an open file, whose checksums are compared where it has any."""
    parquet = arrow().parquet
    try:
        return parquet.ParquetFile(regular(path), page_checksum_verification=True)
    except InputError:
        raise
    # Broken metadata raise nearly anything: ArrowException, OSError, JSONDecodeError, OverflowError …
    except Exception as error:
        raise unreadable(path, error) from None


def batches(path: Path, columns: Sequence[str], rows: int = 16) -> Iterator[pa.RecordBatch]:
    """Yield up to `rows` rows at once, and no more of them than the file may hold.

    A dictionary in the file can make a few bytes a million large values: what is read is counted.
    """
    file, left = opened(path), allowance(path)
    # Not the sizes of columns: pyarrow ends the process where damaged metadata hold some of them.
    sizes = [
        file.metadata.row_group(number).total_byte_size for number in range(file.metadata.num_row_groups)
    ]
    check_inflation(path, max(sum(sizes), file.metadata.num_rows * _LEAST_ROW))
    rows = min(rows, max(1, left // max(1, *sizes, 1)))
    found = file.iter_batches(batch_size=rows, columns=list(columns))
    while True:
        try:
            batch = next(found, None)
        except Exception as error:
            raise unreadable(path, error) from None
        if batch is None:
            return
        left -= batch.nbytes
        if left < 0:
            check_inflation(path, allowance(path) - left)
        yield batch


def unreadable(path: Path, error: Exception) -> InputError:
    """Return what to raise for a file that cannot be read."""
    return InputError(f"{path} is not a readable parquet file ({error}); fetch it again")
