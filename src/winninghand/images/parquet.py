"""Folders of parquet files in the layout of the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from winninghand.base.errors import InputError
from winninghand.images.image_set import ImageSet, Int64Array, UInt8Array
from winninghand.images.parquet_columns import class_names, image_column, label_column
from winninghand.images.parquet_files import shards
from winninghand.images.pictures import Picture, decoded
from winninghand.images.resizing import Size
from winninghand.images.source import Source, image_set


def parquet(folder: Path) -> Source | None:
    """Return the image set in `folder` or in one folder below it, or `None` where no parquet file is.

    Raises `InputError` where a split or a shard is missing, or where several folders hold a set each.
    """
    found = sorted(folder.glob("*.parquet")) or sorted(folder.glob("*/*.parquet"))
    if not found:
        return None
    return parquet_source(folder.resolve().name, folder, [path.relative_to(folder) for path in found])


def parquet_source(name: str, folder: Path, paths: Iterable[Path]) -> Source:
    """Return the image set in the parquet files `paths`, which are relative to `folder`."""
    found = {
        split: tuple(folder / path for path in files) for split, files in shards(str(folder), paths).items()
    }
    return Source(name, found["train"] + found["test"], lambda size: _decode(name, found, size))


def _decode(name: str, files: dict[str, tuple[Path, ...]], size: Size | None) -> ImageSet:
    classes = {split: _classes(paths) for split, paths in files.items()}
    if classes["train"] != classes["test"]:
        raise InputError(f"{name}: the train and test parquet files name different classes; make them agree")
    train, test = (_split(files[split], size) for split in ("train", "test"))
    names = classes["train"] or tuple(str(label) for label in range(int(train[1].max(initial=0)) + 1))
    return image_set(name, train, test, names)


def _classes(paths: Sequence[Path]) -> tuple[str, ...] | None:
    """Return the class names that all files of a split agree on, `None` where they give none."""
    named = {class_names(path, _schema(path)) for path in paths}
    if len(named) > 1:
        raise InputError(f"{paths[0].parent}: the parquet files name different classes; make them agree")
    return named.pop()


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError, json.JSONDecodeError) as error:
        raise _unreadable(path, error) from None


def _split(paths: Sequence[Path], size: Size | None) -> tuple[UInt8Array, Int64Array]:
    pictures: list[Picture] = []
    labels: list[Int64Array] = []
    for path in paths:
        schema = _schema(path)
        image, label = image_column(path, schema), label_column(path, schema)
        try:
            table = pq.read_table(path, columns=[image, label])
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from None
        pictures += _pictures(path, table[image])
        if table[label].null_count:
            raise InputError(f"{path} has rows without a label in column {label!r}; remove them")
        labels.append(table[label].to_numpy().astype(np.int64))
    if not pictures:
        raise InputError(f"{paths[0]} holds no images")
    return decoded(pictures, size), np.concatenate(labels)


def _pictures(path: Path, column: pa.ChunkedArray) -> list[Picture]:
    # Chunk by chunk: one array of binary values cannot hold more than 2 GB.
    contents = [content for chunk in column.chunks for content in chunk.field("bytes").to_pylist()]
    if None in contents:
        raise InputError(f"{path} row {contents.index(None)} holds no image bytes; embed the image files")
    return [Picture(f"{path} row {row}", content) for row, content in enumerate(contents)]


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is not a readable parquet file ({error}); fetch it again")
