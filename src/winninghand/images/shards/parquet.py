"""Image sets in parquet files in the layout of the Hugging Face hub, whatever their columns are called."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import InputError, brief, shown
from winninghand.images.checks import Int64Array
from winninghand.images.encoded import TOGETHER, Encoded, file_stamp
from winninghand.images.encoded_sets import encoded_set
from winninghand.images.image_set import ImageSet
from winninghand.images.preparation import Preparation
from winninghand.images.shards.parquet_files import RowGroups, arrow, batches, opened, unreadable
from winninghand.images.source import Source

if TYPE_CHECKING:
    import pyarrow as pa

_LOG = logging.getLogger(__name__)
_USUAL_LABELS = ("label", "labels", "fine_label")
_LABELS_AT_ONCE = 4096
_HIDDEN = -1
"""The label of test images whose classes are not told."""


def parquet_source(name: str, files: Mapping[str, Sequence[Path]]) -> Source:
    """Return the image set in the parquet files of each split."""
    every = tuple(path for paths in files.values() for path in paths)
    return Source(name, every, lambda how: _decode(name, files, how), streams=True)


def _decode(name: str, files: Mapping[str, Sequence[Path]], how: Preparation) -> ImageSet:
    classes = {split: _classes(files[split]) for split in ("train", "test")}
    if classes["train"] != classes["test"]:
        raise InputError(f"{name}: the train and test parquet files name different classes; make them agree")
    train, test = (ParquetRows(files[split]) for split in ("train", "test"))
    if (test.labels == _HIDDEN).all():
        if "validation" not in files:
            raise InputError(
                f"{name}: its test images have no labels (all are {_HIDDEN}); add all parquet files of the "
                "validation split, which then take their place"
            )
        _LOG.warning("%s: its test images have no labels; those for validation take their place", shown(name))
        test = ParquetRows(files["validation"])
    return encoded_set(name, train, test, classes["train"], how)


def _classes(paths: Sequence[Path]) -> list[object] | None:
    """Return the class names that all files of a split agree on, `None` where they give none."""
    named = [_class_names(path, opened(path).schema_arrow) for path in paths]
    if any(names != named[0] for names in named):
        raise InputError(f"{paths[0].parent}: the parquet files name different classes; make them agree")
    return named[0]


class ParquetRows(Encoded):
    """Pictures in the rows of parquet files.

    Only labels and the lengths of row groups are read at once. A row is read with its whole group, which is
    held for the next ones. Raises `InputError` for files that cannot be read and for rows without a label.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        _check_different(paths)
        self._paths = paths
        labels, groups = list[npt.NDArray[np.integer]](), list[tuple[int, int, int, int]]()
        columns = []
        for number, path in enumerate(paths):
            file = opened(path)
            columns.append(f"{_image_column(path, file.schema_arrow)}.bytes")
            marks = _labels(path, _label_column(path, file.schema_arrow))
            found = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
            groups += [(number, place, one.num_rows, one.total_byte_size) for place, one in enumerate(found)]
            if min((one.num_rows for one in found), default=0) < 0 or len(marks) != file.metadata.num_rows:
                raise unreadable(path, ValueError("its numbers of rows do not agree"))
            labels.append(marks)
        self.labels = np.concatenate(labels)
        if not len(self.labels):
            raise InputError(f"{paths[0]} holds no images")
        self._file, self._group, rows, self._bytes = np.array(groups, dtype=np.int64).T
        self._ends = rows.cumsum()
        self._starts = self._ends - rows
        self._first = np.cumsum([0, *(len(marks) for marks in labels)])
        self._held = RowGroups(paths, columns, 2 * TOGETHER)

    def name(self, place: int) -> str:
        """Return file and row of a picture."""
        number = self._file[self._number(place)]
        return f"{self._paths[number]} row {place - self._first[number]}"

    def content(self, place: int) -> bytes:
        """Return the encoded picture of a row; `InputError` where the row holds none."""
        number = self._number(place)
        contents = self._held.of(int(self._file[number]), int(self._group[number]))
        row = place - int(self._starts[number])
        content = contents[row] if row < len(contents) else None
        if content is None:
            raise InputError(f"{self.name(place)} holds no image bytes; embed the image files")
        return content

    def stamp(self, places: Int64Array) -> bytes:
        """Return names and lengths of the files, and the places."""
        return file_stamp(self._paths, places)

    def groups(self) -> tuple[Int64Array, Int64Array]:
        """Return the row group of each picture, and the bytes of each group."""
        largest = int(self._bytes.argmax())
        if self._bytes[largest] > TOGETHER:
            raise InputError(
                f"{self._paths[self._file[largest]]} has a row group of {self._bytes[largest]:,} bytes, and "
                f"{TOGETHER:,} can be streamed; write the file with smaller ones, such as of 100 rows "
                "(pyarrow: row_group_size=100)"
            )
        return np.repeat(np.arange(len(self._bytes)), self._ends - self._starts), self._bytes

    def _number(self, place: int) -> int:
        return int(np.searchsorted(self._ends, place, side="right"))


def _check_different(paths: Sequence[Path]) -> None:
    """Raise `InputError` where two files of a split hold the same bytes, whatever they are called."""
    sizes = Counter(path.stat().st_size for path in paths)
    seen: dict[bytes, Path] = {}
    for path in paths:
        if sizes[path.stat().st_size] > 1:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "blake2b").digest()
            if digest in seen:
                raise InputError(f"{path} is a copy of {seen[digest]}; remove one, or its images count twice")
            seen[digest] = path


def _labels(path: Path, label: str) -> npt.NDArray[np.integer]:
    """Return the labels of a file."""
    found: list[npt.NDArray[np.integer]] = [np.empty(0, np.int64)]
    for batch in batches(path, [label], _LABELS_AT_ONCE):
        marks = batch.column(label)
        if marks.null_count:
            raise InputError(f"{path} has rows without a label in column {label!r}; remove them")
        try:
            numbers = marks.to_numpy(zero_copy_only=False)
            if numbers.dtype != np.uint64 or numbers.max(initial=0) < 2**63:  # larger ones would be negative
                numbers = numbers.astype(np.int64)
            found.append(numbers)
        except Exception as error:
            raise unreadable(path, error) from None
    return np.concatenate([part for part in found if len(part)] or found)


def _image_column(path: Path, schema: pa.Schema) -> str:
    """Return the name of the one column of the type struct{bytes, path}, whatever it is called."""
    is_struct = arrow().types.is_struct
    found = [field.name for field in schema if is_struct(field.type) and _has_bytes(field.type)]
    if len(found) != 1:
        raise InputError(
            f"{path} must have one image column (a struct with bytes and path), not {len(found)}; "
            f"its columns are {', '.join(schema.names)}"
        )
    return str(found[0])


def _label_column(path: Path, schema: pa.Schema) -> str:
    """Return the name of the label column.

    It is the one the metadata calls a ClassLabel, or else the one of whole numbers; among
    several, the one with a usual name (CIFAR-100 has `fine_label` and `coarse_label`).
    """
    is_integer = arrow().types.is_integer
    whole = [field.name for field in schema if is_integer(field.type)]
    features = _features(path, schema)
    found = [name for name in whole if features.get(name, {}).get("_type") == "ClassLabel"] or whole
    if len(found) == 1:
        return str(found[0])
    usual = [name for name in _USUAL_LABELS if name in found]
    if not usual:
        raise InputError(
            f"{path} has no column that is clearly the label; call one of whole numbers 'label' "
            f"(its columns are {', '.join(schema.names)})"
        )
    return usual[0]


def _class_names(path: Path, schema: pa.Schema) -> list[object] | None:
    """Return the names the hub's metadata give the labels, or `None` where they give none."""
    names = _features(path, schema).get(_label_column(path, schema), {}).get("names")
    if not isinstance(names, list | None):
        raise InputError(f"{path} has class names that are no list but {brief(names)}; write the file anew")
    return names


def _has_bytes(kind: pa.StructType) -> bool:
    return bool(kind.get_field_index("bytes") >= 0)


def _features(path: Path, schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Return the column descriptions in the schema's `huggingface` metadata, if there are any."""
    text = (schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        features = json.loads(text)["info"]["features"] if text != b"{}" else {}
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path} has unreadable 'huggingface' metadata; write the file anew") from None
