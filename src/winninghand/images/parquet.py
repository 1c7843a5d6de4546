"""Folders of parquet files in the layout of the Hugging Face hub, whatever their columns are called."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from winninghand.base.errors import InputError
from winninghand.base.extras import needed
from winninghand.images.image_set import ImageSet, Int64Array, UInt8Array
from winninghand.images.parquet_files import shards
from winninghand.images.pictures import Picture, decoded
from winninghand.images.resizing import Size
from winninghand.images.source import Source, image_set

if TYPE_CHECKING:
    import pyarrow as pa

_USUAL_LABELS = ("label", "labels", "fine_label")


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
    named = {_class_names(path, _schema(path)) for path in paths}
    if len(named) > 1:
        raise InputError(f"{paths[0].parent}: the parquet files name different classes; make them agree")
    return named.pop()


def _arrow() -> ModuleType:
    """Return pyarrow with its `parquet`; it is large, and imported only where a parquet file is read."""
    arrow = needed("pyarrow", "parquet", "to read parquet files")
    needed("pyarrow.parquet", "parquet", "to read parquet files")
    return arrow


def _schema(path: Path) -> pa.Schema:
    arrow = _arrow()
    try:
        return arrow.parquet.read_schema(path)
    except (arrow.ArrowException, OSError, json.JSONDecodeError) as error:
        raise _unreadable(path, error) from None


def _split(paths: Sequence[Path], size: Size | None) -> tuple[UInt8Array, Int64Array]:
    pictures: list[Picture] = []
    labels: list[Int64Array] = []
    arrow = _arrow()
    for path in paths:
        schema = _schema(path)
        image, label = _image_column(path, schema), _label_column(path, schema)
        try:
            table = arrow.parquet.read_table(path, columns=[image, label])
        except (arrow.ArrowException, OSError) as error:
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


def _image_column(path: Path, schema: pa.Schema) -> str:
    """Return the name of the one column of the type struct{bytes, path}, whatever it is called."""
    is_struct = _arrow().types.is_struct
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
    is_integer = _arrow().types.is_integer
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


def _class_names(path: Path, schema: pa.Schema) -> tuple[str, ...] | None:
    """Return the names the hub's metadata give the labels, or `None` where they give none."""
    names = _features(path, schema).get(_label_column(path, schema), {}).get("names")
    return tuple(str(name) for name in names) if isinstance(names, list) else None


def _has_bytes(kind: pa.StructType) -> bool:
    return bool(kind.get_field_index("bytes") >= 0)


def _features(path: Path, schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Return the column descriptions in the schema's `huggingface` metadata, if there are any."""
    text = (schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        features = json.loads(text)["info"]["features"] if text != b"{}" else {}
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} has unreadable 'huggingface' metadata; write the file anew") from None
