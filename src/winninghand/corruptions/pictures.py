"""The images of one cell as files in class folders, as ImageNet-C and Tiny-ImageNet-C have them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from winninghand.base.errors import InputError, counted
from winninghand.base.files import checked_name
from winninghand.base.threads import usable_cores
from winninghand.corruptions.jpeg import ARCHIVES_QUALITY, encoded

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]

ENDINGS = (".jpeg", ".jpg", ".png")
_MOST_THREADS = 16


@dataclass(frozen=True)
class Pictures:
    """The images of a cell as files, which are read when they are asked for.

    `files` are their paths in `folder`. Raises `InputError` for a file that is missing, damaged or of
    another size than the first.
    """

    folder: Path
    files: tuple[str, ...]
    shape: tuple[int, int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        first = _read(self.folder / self.files[0])
        object.__setattr__(self, "shape", (len(self.files), *first.shape))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Int64Array | slice | int) -> UInt8Array:
        """Return the images at some places, uint8 (…, H, W, 3); a thread for each core reads them."""
        places = np.arange(len(self))[rows]
        images = np.empty((places.size, *self.shape[1:]), np.uint8)
        threads = max(1, min(math.ceil(usable_cores()), _MOST_THREADS, places.size))
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(self._fill, images, places.reshape(-1).tolist()):
                pass
        return images.reshape(*places.shape, *self.shape[1:])

    def _fill(self, image: UInt8Array, place: int) -> None:
        path = self.folder / self.files[place]
        read = _read(path)
        if read.shape != image.shape:
            sizes = ["×".join(map(str, one[:2])) for one in (read.shape, image.shape)]
            raise InputError(f"{path} is {sizes[0]} pixels and others {sizes[1]}; get the archive again")
        image[:] = read


def _read(path: Path) -> UInt8Array:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; get the archive again or write it anew") from None
    # Damaged pictures raise nearly anything.
    except Exception as fault:
        raise InputError(f"{path} is no whole picture ({fault}); get it again or write it anew") from fault


def severity_folders(folder: Path, name: str) -> tuple[int, ...]:
    """Return the severities of a corruption that have a folder of class folders here."""
    return tuple(level for level in range(1, 6) if (folder / name / str(level)).is_dir())


def class_folders(cell: Path) -> list[str]:
    """Return the names of a cell's class folders, sorted."""
    return sorted(one.name for one in cell.iterdir() if one.is_dir() and not one.name.startswith("."))


def listed(cell: Path) -> tuple[tuple[str, ...], Int64Array]:
    """Return the files of a cell, class by class, and the class of each.

    Raises `InputError` where there is none.
    """
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(class_folders(cell)):
        found = sorted(one.name for one in (cell / name).iterdir() if one.suffix.lower() in ENDINGS)
        files += [f"{name}/{one}" for one in found]
        labels += [label] * len(found)
    if not files:
        raise InputError(f"{cell} holds no pictures in class folders; get the archive again")
    return tuple(files), np.array(labels, dtype=np.int64)


def check_same_classes(cell: Path, first: Path) -> None:
    """Raise `InputError` where a cell has other class folders than the first one."""
    own, known = set(class_folders(cell)), set(class_folders(first))
    if own != known:
        odd = min(own ^ known)
        has, lacks = (cell, first) if odd in own else (first, cell)
        raise InputError(f"{has} has the class folder {odd!r} and {lacks} has not; get the archive again")


def checked_class_names(classes: Sequence[str], labels: Int64Array) -> tuple[str, ...]:
    """Return class names that can be folders; `InputError` where labels would not be their sorted places."""
    names = tuple(checked_name(name) for name in classes)
    if list(names) != sorted(names):
        raise InputError(
            "class folders are read in sorted order, and these class names are not sorted; "
            "write the layout of arrays"
        )
    if len(labels) and labels.max() >= len(names):
        raise InputError(f"a label is {labels.max()} and there are {counted(len(names), 'class', 'classes')}")
    return names


def write_cell(
    cell: Path,
    classes: Sequence[str],
    files: Sequence[str],
    images: Callable[[slice], UInt8Array],
    at_once: int,
) -> None:
    """Write the pictures of a cell as JPEG files of quality 85, `at_once` at a time; it appears whole."""
    unfinished = cell.with_name(f".{cell.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in classes:
        (unfinished / name).mkdir(parents=True)
    for begin in range(0, len(files), at_once):
        part = slice(begin, begin + at_once)
        for image, file in zip(images(part), files[part], strict=True):
            (unfinished / file).write_bytes(encoded(image, ARCHIVES_QUALITY, optimize=True))
    unfinished.rename(cell)
