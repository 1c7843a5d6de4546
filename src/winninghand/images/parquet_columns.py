"""Which columns of a parquet file hold the images, the labels and the class names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from winninghand.base.errors import InputError

_USUAL_LABELS = ("label", "labels", "fine_label")


def image_column(path: Path, schema: pa.Schema) -> str:
    """Return the name of the one column of the type struct{bytes, path}, whatever it is called."""
    found = [field.name for field in schema if pa.types.is_struct(field.type) and _has_bytes(field.type)]
    if len(found) != 1:
        raise InputError(
            f"{path} must have one image column (a struct with bytes and path), not {len(found)}; "
            f"its columns are {', '.join(schema.names)}"
        )
    return str(found[0])


def label_column(path: Path, schema: pa.Schema) -> str:
    """Return the name of the label column.

    It is the one the metadata calls a ClassLabel, or else the one of whole numbers; among
    several, the one with a usual name (CIFAR-100 has `fine_label` and `coarse_label`).
    """
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
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


def class_names(path: Path, schema: pa.Schema) -> tuple[str, ...] | None:
    """Return the names the hub's metadata give the labels, or `None` where they give none."""
    names = _features(path, schema).get(label_column(path, schema), {}).get("names")
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
