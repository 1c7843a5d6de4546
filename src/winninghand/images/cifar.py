"""`cifar10` and `cifar100` (Krizhevsky 2009), in whichever layout they are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from winninghand.base.errors import InputError
from winninghand.hub.address import PREFIX
from winninghand.images.checks import Int64Array, UInt8Array
from winninghand.images.hub import from_hub
from winninghand.images.image_set import ImageSet
from winninghand.images.plain_pickle import read_plain_pickle
from winninghand.images.preparation import Preparation
from winninghand.images.shards.layouts import parquet
from winninghand.images.source import Source, image_set

_SHAPE = (3, 32, 32)


@dataclass(frozen=True)
class _Layout:
    """Names of the files of an official folder, and of the entries in them."""

    train: Sequence[str]
    test: str
    meta: str
    labels: bytes
    names: bytes


@dataclass(frozen=True)
class _Files:
    train: tuple[Path, ...]
    test: Path
    meta: Path


_OFFICIAL = (
    _Layout(
        [f"data_batch_{number}" for number in range(1, 6)],
        "test_batch",
        "batches.meta",
        b"labels",
        b"label_names",
    ),
    _Layout(["train"], "test", "meta", b"fine_labels", b"fine_label_names"),
)


def cifar_batches(folder: Path) -> Source | None:
    """Return the set in a folder like `cifar-10-batches-py` or `cifar-100-python`, else `None`.

    Its files are pickles; they are read without running anything. Training batches that are not
    there are left out. CIFAR-100 comes with its 100 fine classes.
    """
    for layout in _OFFICIAL:
        train = tuple(folder / name for name in layout.train if (folder / name).is_file())
        files = _Files(train, folder / layout.test, folder / layout.meta)
        if train and files.test.is_file() and files.meta.is_file():
            name = folder.resolve().name
            return Source(name, (*train, files.test, files.meta), partial(_decode, name, layout, files))
    return None


def _decode(name: str, layout: _Layout, files: _Files, how: Preparation) -> ImageSet:
    classes = _entry(files.meta, read_plain_pickle(files.meta), layout.names)
    if not isinstance(classes, list):
        raise InputError(f"{files.meta} holds no list of class names; fetch it again")
    parts = [_batch(path, layout.labels) for path in files.train]
    train = np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])
    titles = [_text(files.meta, title) for title in classes]
    return image_set(name, train, _batch(files.test, layout.labels), titles, how)


def _batch(path: Path, label_key: bytes) -> tuple[UInt8Array, Int64Array]:
    """Return the images (N, 32, 32, 3) and labels (N,) of one batch."""
    content = read_plain_pickle(path)
    rows, labels = _entry(path, content, b"data"), _entry(path, content, label_key)
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.shape[1:] != (np.prod(_SHAPE),):
        raise InputError(f"{path} does not hold uint8 rows of {np.prod(_SHAPE)} pixels; fetch it again")
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 256 for label in labels):
        raise InputError(f"{path} holds no list of whole numbers in 0..255 as labels; fetch it again")
    if len(labels) != len(rows):
        raise InputError(f"{path} holds {len(rows)} images and {len(labels)} labels; fetch it again")
    return rows.reshape(-1, *_SHAPE).transpose(0, 2, 3, 1), np.array(labels, dtype=np.int64)


def _text(path: Path, title: Any) -> Any:  # noqa: ANN401 (what is no text is refused with all names)
    try:
        return title.decode("utf-8") if isinstance(title, bytes) else title
    except UnicodeDecodeError:
        raise InputError(f"{path} holds a class name that is no UTF-8; fetch it again") from None


def _entry(path: Path, content: dict[bytes, Any], key: bytes) -> Any:  # noqa: ANN401
    if key not in content:
        raise InputError(f"{path} has no entry {key.decode()!r}; fetch it again")
    return content[key]


@dataclass(frozen=True)
class _Cifar:
    """A set known by name: its number of classes, where it usually lies and where it is fetched."""

    name: str
    classes: int
    folders: Sequence[str]
    repository: str

    def __call__(self, root: Path | None) -> Source:
        """Return the set as it lies under `root`, else as the hub has it.

        Raises `InputError` that says where it was looked for, if it is in neither place.
        """
        found = self._under(root) if root is not None else None
        if found is None:
            found = self._fetched(root)
        decode = found.decode
        return replace(found, name=self.name, decode=lambda how: self._checked(decode(how)))

    def _under(self, root: Path) -> Source | None:
        for folder in self.folders:
            found = cifar_batches(root / folder)
            if found is None and (folder != "." or any(root.glob("*.parquet"))):
                found = parquet(root / folder)
            if found is not None:
                return found
        return None

    def _fetched(self, root: Path | None) -> Source:
        try:
            return from_hub(PREFIX + self.repository)
        except InputError as error:
            places = ", ".join(self.folders)
            looked = f"{places} under {str(root)!r}" if root else "no folder, as no root was given"
            raise InputError(
                f"{self.name} is not there (looked in {looked}): {error}, "
                f"or pass as --root the folder that holds {self.folders[0]} or {self.folders[-2]}"
            ) from None

    def _checked(self, images: ImageSet) -> ImageSet:
        if len(images.classes) != self.classes:
            raise InputError(
                f"{self.name} has {self.classes} classes but the files found for it hold "
                f"{len(images.classes)}; give the right --root"
            )
        return replace(images, name=self.name)


# "." comes last: a root that is itself the folder of the set.
cifar10 = _Cifar(
    name="cifar10",
    classes=10,
    folders=(
        "cifar10",
        "uoft-cs/cifar10",
        "plain_text",
        "cifar10/cifar-10-batches-py",
        "cifar-10-batches-py",
        ".",
    ),
    repository="uoft-cs/cifar10",
)
cifar100 = _Cifar(
    name="cifar100",
    classes=100,
    folders=("cifar100", "uoft-cs/cifar100", "cifar100/cifar-100-python", "cifar-100-python", "."),
    repository="uoft-cs/cifar100",
)
