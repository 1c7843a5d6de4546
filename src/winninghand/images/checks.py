"""What images, labels and class names must be, whatever they come from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any
from unicodedata import category, normalize

import numpy as np
import numpy.typing as npt
import torch

from winninghand.base.errors import LARGEST, InputError, brief, shown

MOST_CLASSES = 65536
PLAIN_BYTES = 2**28
_INFLATION = 20


def allowance(path: Path) -> int:
    """Return the number of bytes that the contents of a compressed file may take in memory.

    Pictures and pixels hardly compress: 256 MiB and twenty times the size of the file are enough for
    every honest one, and keep a small file from filling the memory.
    """
    return PLAIN_BYTES + _INFLATION * path.stat().st_size


def check_inflation(path: Path, declared: int) -> None:
    """Raise `InputError` where a file says that its contents are larger than they may be."""
    if declared > allowance(path):
        raise InputError(
            f"{path} of {path.stat().st_size:,} bytes would take {declared:,} bytes of memory; "
            "it is damaged or made to fill the memory, get it from where you trust it"
        )


def check_memory(count: int, size: tuple[int, int]) -> None:
    """Raise `InputError` where `count` images of `size` (height, width) need more memory than there is."""
    needed, there = count * size[0] * size[1] * 3, _memory()
    if needed > there:
        raise InputError(
            f"{count:,} images of {size[0]}×{size[1]} pixels take {needed:,} bytes and this machine has "
            f"{there:,}; give a smaller size or fewer images"
        )


def _memory() -> int:
    """Return the machine's memory in bytes, or 64 GiB where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 2**36


UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
ArrayLike = npt.ArrayLike | torch.Tensor


def checked_images(images: ArrayLike, part: str = "images") -> UInt8Array:
    """Return `images` as a uint8 array (N, H, W, 3), or raise `InputError` that says what is wrong."""
    array = _array(images, part)
    if array.dtype != np.uint8:
        raise InputError(f"{part} must be uint8 in 0..255, not {array.dtype}; convert them first")
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise InputError(f"{part} must have the shape (N, H, W, 3), not {tuple(array.shape)}")
    if 0 in array.shape:
        raise InputError(f"{part} holds no images: its shape is {tuple(array.shape)}")
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array


def checked_labels(labels: ArrayLike, count: int, part: str = "", classes: int = MOST_CLASSES) -> Int64Array:
    """Return `labels` as int64 (count,), or raise `InputError` unless all are whole and below `classes`."""
    marks = _array(labels, "labels")
    name = f"{part} labels".strip()
    if marks.shape != (count,) or marks.dtype.kind not in "iu":
        raise InputError(
            f"{name} must be {count} whole numbers, one per image, "
            f"not {marks.dtype} of shape {tuple(marks.shape)}"
        )
    if marks.min() < 0 or marks.max() >= classes:
        raise InputError(f"{name} must lie in 0..{classes - 1}, not {marks.min()}..{marks.max()}")
    return marks.astype(np.int64, copy=False)


def checked_classes(classes: object) -> tuple[str, ...]:
    """Return class names as text, or raise `InputError` unless they are 2 to 65,536 different readable ones.

    Names are text or whole numbers. A name is not blank, has at most 200 characters, and none that moves
    the cursor of a terminal or turns the direction of its line.
    """
    if isinstance(classes, str | bytes) or not isinstance(classes, Sequence | np.ndarray):
        raise InputError(f"classes must be a list of names, not {shown(brief(classes, 200))}")
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise InputError(f"there must be 2 to {MOST_CLASSES} classes, not {len(classes)}")
    for item in classes:
        if isinstance(item, bool) or not isinstance(item, str | Integral):
            raise InputError(f"a class name must be text, not {shown(brief(item, 200))}; name every class")
        if not isinstance(item, str) and not -LARGEST <= int(item) <= LARGEST:
            raise InputError("a class name that is a number must lie within 64 bits; give a text")
        if shown(item) != str(item) or not _as_seen(str(item)):
            raise InputError(
                f"a class name must be readable text, not {shown(repr(str(item)))}; rename the class"
            )
    names = tuple(str(item) for item in classes)
    seen = Counter(map(_as_seen, names))
    if len(seen) < len(names):
        twice = next(name for name, count in seen.items() if count > 1)
        raise InputError(f"the class name {shown(twice)!r} is given more than once; give each class its own")
    return names


# Letters and marks that show nothing: fillers, joiners, the empty Braille cell, variation selectors.
_UNSEEN = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


def _as_seen(name: str) -> str:
    """Return what one sees of a name: names that differ in nothing else are the same to a reader."""
    letters = (one for one in normalize("NFC", name) if category(one) != "Cf" and one not in _UNSEEN)
    return "".join(letters).strip()


def numbered(
    train: ArrayLike, test: ArrayLike, counts: tuple[int, int]
) -> tuple[Int64Array, Int64Array, tuple[str, ...]]:
    """Return labels of classes without names, numbered anew from 0, and what the classes are called.

    Every number that occurs is a class and its name; those that are left out are none. `counts` are the
    numbers of train and test images. Raises `InputError` as `checked_labels` does.
    """
    labels = [checked_labels(*given) for given in zip((train, test), counts, ("train", "test"), strict=True)]
    present = np.unique(np.concatenate(labels))
    first, second = (np.searchsorted(present, part).astype(np.int64) for part in labels)
    return first, second, tuple(str(number) for number in present)


def _array(values: ArrayLike, part: str) -> npt.NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(f"{part} must be a plain array; fill what is masked, or leave it out")
    try:
        return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asanyarray(values)
    # Rows of different lengths, numbers without end, tensors that are sparse or hold nothing.
    except (ValueError, OverflowError, TypeError, RuntimeError) as error:
        raise InputError(f"{part} must be a plain array or dense tensor ({error})") from None
