"""Parquet files of strangers: what is read of one is counted, and damage raises `InputError`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
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


def batches(
    path: Path, columns: Sequence[str], rows: int = 16, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield up to `rows` rows at once, of some row groups or of all, and no more than the file may hold.

    A dictionary in the file can make a few bytes a million large values: what is read is counted.
    """
    file, left = opened(path), allowance(path)
    # Not the sizes of columns: pyarrow ends the process where damaged metadata hold some of them.
    sizes = [
        file.metadata.row_group(number).total_byte_size for number in range(file.metadata.num_row_groups)
    ]
    check_inflation(path, max(sum(sizes), file.metadata.num_rows * _LEAST_ROW))
    rows = min(rows, max(1, left // max(1, *sizes, 1)))
    found = file.iter_batches(batch_size=rows, columns=list(columns), row_groups=groups)
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


class RowGroups:
    """The pictures of row groups, each of which is read whole; the last ones are held, up to `most` bytes.

    Threads that want one which is being read wait for it.
    """

    def __init__(self, paths: Sequence[Path], columns: Sequence[str], most: int) -> None:
        self._paths, self._columns, self._most = paths, columns, most
        self._held: OrderedDict[tuple[int, int], Future[list[bytes | None]]] = OrderedDict()
        self._bytes: dict[tuple[int, int], int] = {}
        self._lock = Lock()

    def of(self, file: int, group: int) -> list[bytes | None]:
        """Return the encoded pictures of a row group of a file, by their numbers."""
        key = file, group
        with self._lock:
            found = self._held.get(key)
            read = found is None
            if found is None:
                found = self._held[key] = Future()
            self._held.move_to_end(key)
        if read:
            try:
                self._keep(key, self._read(file, group), found)
            except BaseException as error:
                with self._lock:
                    del self._held[key]
                found.set_exception(error)
                raise
        return found.result()

    def _read(self, file: int, group: int) -> list[bytes | None]:
        path, (column, _, field) = self._paths[file], self._columns[file].rpartition(".")
        contents: list[bytes | None] = []
        for batch in batches(path, [self._columns[file]], groups=[group]):
            try:
                contents += batch.column(column).field(field).to_pylist()
            except Exception as error:
                raise unreadable(path, error) from None
        return contents

    def _keep(
        self, key: tuple[int, int], contents: list[bytes | None], found: Future[list[bytes | None]]
    ) -> None:
        with self._lock:
            self._bytes[key] = sum(len(content or b"") for content in contents)
            while len(self._bytes) > 1 and sum(self._bytes.values()) > self._most:
                oldest = next(one for one in self._held if one in self._bytes)
                del self._held[oldest], self._bytes[oldest]
        found.set_result(contents)


def unreadable(path: Path, error: Exception) -> InputError:
    """Return what to raise for a file that cannot be read."""
    return InputError(f"{path} is not a readable parquet file ({error}); fetch it again")
