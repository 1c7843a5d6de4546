"""What images, labels and class names must be, whatever they come from."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from winninghand.base.errors import MOST_CLASSES, InputError

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
BoolArray = npt.NDArray[np.bool_]
ArrayLike = npt.ArrayLike | torch.Tensor
Places = Int64Array | slice | int


class StreamedImages(ABC):
    """Images that stay where they are, and are decoded when they are asked for: no array holds them all.

    `shape` is (N, H, W, 3), that of the array which they would be.
    """

    shape: tuple[int, int, int, int]

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def __getitem__(self, places: Places) -> UInt8Array:
        """Return the images at some places, uint8 (…, H, W, 3), as for a test.

        Raises `InputError` that names one that cannot be read.
        """

    @abstractmethod
    def random_crop(self, place: int, draws: npt.NDArray[np.float32]) -> UInt8Array:
        """Return a random part of one image, uint8 (H, W, 3): that which `random_box` gives for `draws`.

        Several threads may call it at a time.
        """

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """Return all places in a random order, int64 (N,); one that is quick to read where this needs one."""
        return torch.randperm(len(self), generator=generator)

    @abstractmethod
    def take(self, places: Int64Array) -> StreamedImages:
        """Return those at some places; nothing is decoded."""

    @abstractmethod
    def stamp(self) -> bytes:
        """Return what tells them from others, without a look at every pixel."""


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
