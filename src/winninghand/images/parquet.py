"""Folders of parquet files in the layout of the Hugging Face hub, whatever their columns are called."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from winninghand.base.errors import InputError, brief, checked_classes
from winninghand.images.checks import Int64Array, numbered
from winninghand.images.image_set import ImageSet
from winninghand.images.parquet_files import arrow, batches, opened, unreadable
from winninghand.images.pictures import Picture
from winninghand.images.preparation import Preparation
from winninghand.images.source import Source, picture_set

_SHARD = re.compile(r"(\d{1,9})-of-(\d{1,9})")
_NUMBER = re.compile(r"\d{1,9}")


def shards(place: str, paths: Iterable[Path]) -> dict[str, tuple[Path, ...]]:
    """Return the files of the `train` and of the `test` split among `paths`, each in sorted order.

    `paths` are relative to `place`, which errors are headed by. The split is told by a file's name
    (`train-00000-of-00001.parquet`) or its folder's (`train/0000.parquet`). Raises `InputError`
    where a split or a shard is missing or doubled, or where several folders hold a set each.
    """
    sets: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(paths):
        split = _split_of(path)
        if split is not None:
            home = path.parent.parent if path.parent.name == split else path.parent
            sets[home][split].append(path)
    if len(sets) > 1:
        names = ", ".join(sorted(str(home) for home in sets))
        raise InputError(f"{place} holds several image sets; give one of them: {place}/ and one of {names}")
    splits = next(iter(sets.values()), {})
    for split in ("train", "test"):
        if split not in splits:
            raise InputError(f"{place} has no parquet file of the {split} split, such as {split}.parquet")
        _check_complete(place, split, splits[split])
    return {split: tuple(splits[split]) for split in ("train", "test")}


def _split_of(path: Path) -> str | None:
    for part in (path.stem, path.parent.name):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in ("train", "test"):
                return word
    return None


def _check_complete(place: str, split: str, paths: Sequence[Path]) -> None:
    """Raise `InputError` unless the files of a split have the numbers from 0 or 1 on, each once.

    What else stands in their names is a fingerprint, or what a file manager adds to a copy.
    """
    found = [_SHARD.search(path.stem) for path in paths]
    totals = {int(one[2]) for one in found if one}
    if len(totals) > 1 or (totals and None in found):
        raise InputError(
            f"{place} holds parquet files of several divisions of the {split} split, such as "
            f"{paths[0].name} and {paths[-1].name}; keep those of one"
        )
    if totals:
        numbers = [int(one[1]) for one in found if one]
        total, least = totals.pop(), 1
    elif all(_NUMBER.fullmatch(path.stem) for path in paths):
        numbers = [int(path.stem) for path in paths]
        # Names such as 0003 count from the first file on, names such as 2017 from anywhere.
        least = 1 if paths[0].stem.startswith("0") else min(numbers)
        total = max(numbers) - min(min(numbers), least) + 1
    else:
        return
    twice = [number for number, count in Counter(numbers).items() if count > 1]
    if twice:
        names = [path.name for path, number in zip(paths, numbers, strict=True) if number == twice[0]]
        raise InputError(
            f"{place} holds part {twice[0]} of the {split} split more than once ({', '.join(names)}); "
            "keep one"
        )
    if len(numbers) != total:
        raise InputError(
            f"{place} holds {len(numbers)} of the {total} parquet files of the {split} split; "
            "fetch the others"
        )
    if min(numbers) > least or max(numbers) - min(numbers) >= total:
        raise InputError(
            f"{place} numbers its {total} parquet files of the {split} split "
            f"{min(numbers)} to {max(numbers)}; fetch them again"
        )


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
    return Source(name, found["train"] + found["test"], lambda how: _decode(name, found, how))


def _decode(name: str, files: dict[str, tuple[Path, ...]], how: Preparation) -> ImageSet:
    classes = {split: _classes(paths) for split, paths in files.items()}
    if classes["train"] != classes["test"]:
        raise InputError(f"{name}: the train and test parquet files name different classes; make them agree")
    (train, first), (test, second) = (_contents(files[split]) for split in ("train", "test"))
    try:
        if classes["train"] is None:
            first, second, names = numbered(first, second, (len(train), len(test)))
        else:
            names = checked_classes(classes["train"])
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return picture_set(name, (train, first), (test, second), names, how)


def _classes(paths: Sequence[Path]) -> list[object] | None:
    """Return the class names that all files of a split agree on, `None` where they give none."""
    named = [_class_names(path, opened(path).schema_arrow) for path in paths]
    if any(names != named[0] for names in named):
        raise InputError(f"{paths[0].parent}: the parquet files name different classes; make them agree")
    return named[0]


def _contents(paths: Sequence[Path]) -> tuple[list[Picture], Int64Array]:
    """Return the encoded pictures and the labels of a split."""
    pictures: list[Picture] = []
    labels: list[Int64Array] = []
    _check_different(paths)
    for path in paths:
        before = len(pictures)
        for images, marks in _batches(path):
            for content in images:
                row = len(pictures) - before
                if content is None:
                    raise InputError(f"{path} row {row} holds no image bytes; embed the image files")
                pictures.append(Picture(f"{path} row {row}", content))
            labels.append(marks)
    if not pictures:
        raise InputError(f"{paths[0]} holds no images")
    return pictures, np.concatenate(labels)


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


def _batches(path: Path) -> Iterator[tuple[list[bytes | None], Int64Array]]:
    """Yield encoded pictures and labels by some rows at once."""
    schema = opened(path).schema_arrow
    image, label = _image_column(path, schema), _label_column(path, schema)
    # Only the bytes of the pictures: the paths beside them are nobody's business.
    for batch in batches(path, [f"{image}.bytes", label]):
        marks = batch.column(label)
        if marks.null_count:
            raise InputError(f"{path} has rows without a label in column {label!r}; remove them")
        try:
            numbers = marks.to_numpy(zero_copy_only=False)
            if (
                numbers.dtype != np.uint64 or numbers.max(initial=0) < 2**63
            ):  # larger ones would become negative
                numbers = numbers.astype(np.int64)
            yield batch.column(image).field("bytes").to_pylist(), numbers
        except Exception as error:
            raise unreadable(path, error) from None


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
