"""CIFAR-10-C's layout: one `<corruption>.npy` per corruption and `labels.npy`; long: read and written.

Each file holds all images at the first severity, then all at the second, and so on. The official
archives have severities 1 to 5; an archive written here may have fewer, and says so in
`archive.json`, beside the seed and which images of the split it shows. Files are written one by one
and appear whole, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numpy.lib.format import read_array_header_1_0, read_array_header_2_0, write_array_header_1_0

from winninghand.base.errors import InputError, brief, checked_whole
from winninghand.base.files import atomic_write, regular
from winninghand.base.locks import check_held, folder_lock
from winninghand.base.randomness import image_indices
from winninghand.corruptions.corrupt import (
    CORRUPTIONS,
    SEVERITIES,
    checked_images,
    checked_severities,
    corrupt,
    corruption_names,
    is_single,
    missing_corruptions,
)
from winninghand.corruptions.parameters import checked_parameters, published_set
from winninghand.corruptions.pictures import Pictures

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]

LABELS = "labels.npy"
DESCRIPTION = "archive.json"
PIXELS_AT_ONCE = 2**22
_LARGEST_DESCRIPTION = 2**26
_HEADERS = {(1, 0): read_array_header_1_0, (2, 0): read_array_header_2_0}
_MOST_LABELS = 2**26
"""Of a file, which may pretend to be large; those of ImageNet are 250,000."""

Progress = Callable[[str, int], None]


class Streamed(Protocol):
    """Images uint8 (N, H, W, 3) that are read, some at a time, when they are asked for."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """That of the array which they would be."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: slice | Int64Array) -> UInt8Array: ...


Pixels = UInt8Array | Streamed


@dataclass(frozen=True)
class Description:
    """What `archive.json` says: how an archive was made, and of which images.

    `digest` stands for the clean images and their labels; `indices` are their places in the
    split, None when they are the first ones in order; `parameters` is the published set. Raises
    `InputError` for severities outside 1..5, and for severities or indices that are repeated or negative.
    """

    seed: int
    severities: tuple[int, ...]
    digest: str
    indices: tuple[int, ...] | None = None
    parameters: str = "cifar10-c"

    def __post_init__(self) -> None:
        checked_whole("seed", self.seed)
        checked_parameters(self.parameters)
        whole = all(type(level) is int for level in self.severities)
        if not whole or checked_severities(self.severities) != self.severities:
            raise InputError(f"severities must be whole numbers, each once, not {list(self.severities)}")
        if self.indices is not None:
            order = image_indices(self.indices, len(self.indices), 0)
            if len(order.unique()) < len(order):
                raise InputError("indices must be different ones; one is repeated")

    def as_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True)
class Archive:
    """An archive on disk: `labels` is int64 (N,); `description` is None for an official one."""

    folder: Path
    labels: Int64Array
    severities: tuple[int, ...] = SEVERITIES
    description: Description | None = None

    def __len__(self) -> int:
        """Return the number of images in a cell."""
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """The corruptions that have a file here."""
        return tuple(name for name in CORRUPTIONS if self.has(name))

    def has(self, name: str) -> bool:
        """Return whether a corruption has a file here."""
        return self.path_of(name).is_file()

    @property
    def indices(self) -> Int64Array:
        """Each image's place in the split it is from, int64 (N,)."""
        if self.description is None or self.description.indices is None:
            return np.arange(len(self), dtype=np.int64)
        return np.array(self.description.indices, dtype=np.int64)

    @property
    def saved_as(self) -> str:
        """How its images are saved, as `corrupt` names it."""
        return "pixels"

    def path_of(self, name: str) -> Path:
        """Return where the images of one corruption are."""
        return self.folder / f"{name}.npy"

    def cell(self, name: str, severity: int) -> UInt8Array | Pictures:
        """Return the images of one corruption at one severity, uint8 (N, H, W, 3), memory-mapped.

        Raises `InputError` when the archive does not have that cell, or when its file is
        truncated or is not what the layout says.
        """
        if severity not in self.severities:
            raise InputError(f"{self.folder} has the severities {list(self.severities)}, not {severity!r}")
        images = read_array(self.path_of(name))
        expected = len(self) * len(self.severities)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or len(images) != expected:
            raise InputError(
                f"{self.path_of(name)} must hold uint8 of shape ({expected}, H, W, 3), "
                f"not {images.dtype} of shape {images.shape}"
            )
        begin = self.severities.index(severity) * len(self)
        return images[begin : begin + len(self)]


def open_arrays(folder: Path | str) -> Archive | None:
    """Return the archive in `folder`, or None when there is no file of any corruption.

    Raises `InputError` when its labels are missing, damaged or not the same for every severity.
    """
    folder = Path(folder)
    if not any((folder / f"{name}.npy").is_file() for name in CORRUPTIONS):
        return None
    description = read_description(folder)
    severities = SEVERITIES if description is None else description.severities
    path = folder / LABELS
    labels = read_array(path)
    whole = labels.ndim == 1 and labels.dtype.kind in "iu" and 0 < len(labels) <= _MOST_LABELS
    if not whole or len(labels) % len(severities):
        raise InputError(
            f"{path} must hold whole numbers, the same for each of {len(severities)} severities, "
            f"not {labels.dtype} of shape {labels.shape}"
        )
    per_severity = labels.reshape(len(severities), -1)
    if (per_severity != per_severity[0]).any():
        raise InputError(f"the labels in {path} differ from one severity to the next; get the file again")
    count = per_severity.shape[1]
    named = None if description is None or description.indices is None else len(description.indices)
    if named not in (None, count):
        raise InputError(
            f"{folder / DESCRIPTION} names {named} images and {path} has the labels of {count}; "
            "delete the folder and write the archive anew"
        )
    return Archive(folder, per_severity[0].astype(np.int64), severities, description)


def read_array(path: Path) -> npt.NDArray[Any]:
    """Return a memory-mapped array, or raise `InputError` when the file is missing or damaged."""
    try:
        _check_header(path)
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; get the archive again or write it anew") from None
    except InputError:
        raise
    # Headers that lie raise nearly anything: ValueError, OverflowError, MemoryError, SyntaxError …
    except Exception as fault:
        raise InputError(f"{path} is no whole .npy file ({fault}); get it again or delete it") from fault
    return array


def _check_header(path: Path) -> None:
    """Raise `ValueError` where a file is no array of plain numbers as large as its header says."""
    with regular(path).open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"its header has the version {version}")
        shape, _, kind = _HEADERS[version](file)
        size = file.tell() + math.prod(shape) * kind.itemsize
    if kind.hasobject or min(shape, default=0) < 0 or size > path.stat().st_size:
        raise ValueError(f"it does not hold {str(kind)[:40]} of shape {brief(shape)}")


def read_description(folder: Path) -> Description | None:
    """Return what `archive.json` in `folder` says, or None when there is none."""
    path = folder / DESCRIPTION
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _LARGEST_DESCRIPTION:
            raise ValueError("it is too large")
        metadata = json.loads(path.read_text(encoding="utf-8"))
        indices = metadata["indices"]
        return Description(
            seed=metadata["seed"],
            severities=tuple(metadata["severities"]),
            digest=str(metadata["digest"]),
            indices=None if indices is None else tuple(indices),
            parameters=metadata.get("parameters", "cifar10-c"),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as fault:
        raise InputError(f"{path} is damaged ({fault}); delete it and write the archive anew") from fault


def write_archive(
    images: Pixels,
    labels: Int64Array,
    folder: Path | str,
    names: str | Sequence[str] = "common",
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    indices: Int64Array | None = None,
    progress: Progress = lambda name, severity: None,
    parameters: str = "auto",
) -> Archive:
    """Write `images` under every corruption that `names` selects to `folder`, and return the archive.

    `images` is uint8 (N, H, W, 3), and may be memory-mapped or streamed; `labels` is whole numbers (N,);
    `indices` (N,) are the images' places in their split when they are not the first ones in
    order. `progress` is called with each cell that is done, those found finished included. `parameters`
    are those of `corrupt`.

    A file that is there already is kept when the folder was begun with the same images, labels,
    severities and seed. Raises `InputError` when it was not, or when something else is there,
    and before anything is written. While another process writes to the folder, this one waits.
    """
    folder = Path(folder)
    chosen = corruption_names(names)
    labels = np.asarray(labels)
    check_writable(images, labels, chosen)
    images = with_channels(images)
    description = describe(images, labels, severities, seed, indices, parameters)
    levels = description.severities
    archive = Archive(folder, np.asarray(labels, dtype=np.int64), levels, description)
    with folder_lock(folder):
        begin_archive(folder, description)
        with atomic_write(folder / LABELS) as tmp:
            np.save(tmp, np.tile(labels, len(levels)).astype(_smallest_type(labels)))
        for name in chosen:
            if _is_finished(archive, name, images.shape):
                for level in levels:
                    progress(name, level)
            else:
                check_held(folder)
                _write_corruption(archive, name, images, description, progress)
    return archive


def describe(
    images: Pixels,
    labels: Int64Array,
    severities: Sequence[int],
    seed: int,
    indices: Int64Array | None,
    parameters: str,
) -> Description:
    """Return the description of an archive of these images."""
    height, width = images.shape[1:3]
    order = None if indices is None else image_indices(indices, len(images), 0).tolist()
    return Description(
        seed=seed,
        severities=tuple(sorted(checked_severities(severities))),
        digest=_digest(images, labels),
        indices=None if order is None else tuple(order),
        parameters=published_set(height, width, parameters),
    )


def _write_corruption(
    archive: Archive, name: str, images: Pixels, description: Description, progress: Progress
) -> None:
    """Write one corruption's file, never holding more than a few million pixels in memory."""
    count, height, width = images.shape[:3]
    length = max(1, PIXELS_AT_ONCE // (height * width))
    indices = archive.indices
    shape = (count * len(archive.severities), height, width, 3)
    # Not by a memory map, which a full disk ends with a signal and not with an error.
    with atomic_write(archive.path_of(name)) as tmp, tmp.open("wb") as file:
        write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for severity in archive.severities:
            for begin in range(0, count, length):
                part = slice(begin, min(begin + length, count))
                cell = corrupt(
                    images[part],
                    name,
                    severity,
                    description.seed,
                    indices=indices[part],
                    parameters=description.parameters,
                )
                file.write(np.ascontiguousarray(cell).data)
            progress(name, severity)


def _is_finished(archive: Archive, name: str, shape: tuple[int, ...]) -> bool:
    """Return whether a whole file of this corruption is there already."""
    try:
        return archive.cell(name, archive.severities[0]).shape[1:3] == shape[1:3]
    except InputError:
        return False


def begin_archive(folder: Path, description: Description) -> None:
    """Leave the description in the folder, or raise `InputError` when it is another archive's."""
    found = read_description(folder)
    if found is None:
        if any((folder / one).exists() for name in CORRUPTIONS for one in (f"{name}.npy", name)):
            raise InputError(f"{folder} holds an archive that was not written here; choose another folder")
        with atomic_write(folder / DESCRIPTION) as tmp:
            tmp.write_text(description.as_json())
    elif found != description:
        raise InputError(
            f"{folder} holds an archive of other images, severities or seed; choose another folder"
        )


def check_writable(images: Pixels, labels: Int64Array, names: Sequence[str]) -> None:
    """Raise `InputError` where these cannot become an archive."""
    for reason in missing_corruptions(names).values():
        raise InputError(reason)
    some = images if isinstance(images, np.ndarray) else images[:1]
    checked_images(some)
    if is_single(some):
        raise InputError("an archive takes many images (N, H, W, 3), not one")
    if np.shape(labels) != (len(images),) or labels.dtype.kind not in "iu":
        raise InputError(f"labels must be {len(images)} whole numbers, one per image")


def with_channels(images: Pixels) -> Pixels:
    """Return grey images (N, H, W) as (N, H, W, 1), and others as they are."""
    return images if len(images.shape) == 4 else np.asarray(images)[..., None]


def _digest(images: Pixels, labels: Int64Array) -> str:
    """Return a digest of the clean images, their shape and their labels."""
    digest = hashlib.sha256(str(images.shape).encode())
    for begin in range(0, len(images), 1024):
        digest.update(np.ascontiguousarray(images[begin : begin + 1024]).tobytes())
    digest.update(np.asarray(labels, dtype=np.int64).tobytes())
    return digest.hexdigest()


def _smallest_type(labels: Int64Array) -> type[np.generic]:
    """Return uint8, as in the official files, where the labels fit it."""
    return np.uint8 if labels.min() >= 0 and labels.max() <= 255 else np.int64
