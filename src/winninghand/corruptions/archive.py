"""Reading CIFAR-10-C's layout: one `<corruption>.npy` per corruption, and `labels.npy`.

Each file holds all images at the first severity, then all at the second, and so on. The official
archives have severities 1 to 5; an archive written here may have fewer, and says so in
`archive.json`, beside the seed and which images of the split it shows.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import InputError
from winninghand.corruptions.catalog import CORRUPTIONS, SEVERITIES

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]

LABELS = "labels.npy"
DESCRIPTION = "archive.json"


@dataclass(frozen=True)
class Description:
    """What `archive.json` says: how an archive was made, and of which images.

    `digest` stands for the clean images and their labels; `indices` are their places in the
    split, None when they are the first ones in order.
    """

    seed: int
    severities: tuple[int, ...]
    digest: str
    indices: tuple[int, ...] | None = None

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
        return tuple(name for name in CORRUPTIONS if self.path_of(name).is_file())

    @property
    def indices(self) -> Int64Array:
        """Each image's place in the split it is from, int64 (N,)."""
        if self.description is None or self.description.indices is None:
            return np.arange(len(self), dtype=np.int64)
        return np.array(self.description.indices, dtype=np.int64)

    def path_of(self, name: str) -> Path:
        """Return where the images of one corruption are."""
        return self.folder / f"{name}.npy"

    def cell(self, name: str, severity: int) -> UInt8Array:
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


def open_archive(folder: Path | str) -> Archive | None:
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
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or len(labels) % len(severities):
        raise InputError(
            f"{path} must hold whole numbers, the same for each of {len(severities)} severities, "
            f"not {labels.dtype} of shape {labels.shape}"
        )
    per_severity = labels.reshape(len(severities), -1)
    if (per_severity != per_severity[0]).any():
        raise InputError(f"the labels in {path} differ from one severity to the next; get the file again")
    return Archive(folder, per_severity[0].astype(np.int64), severities, description)


def read_array(path: Path) -> npt.NDArray[Any]:
    """Return a memory-mapped array, or raise `InputError` when the file is missing or damaged."""
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; get the archive again or write it anew") from None
    except (ValueError, OSError, EOFError) as fault:
        raise InputError(f"{path} is no whole .npy file ({fault}); get it again or delete it") from fault
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is no .npy file; get it again or delete it")
    return array


def read_description(folder: Path) -> Description | None:
    """Return what `archive.json` in `folder` says, or None when there is none."""
    path = folder / DESCRIPTION
    if not path.is_file():
        return None
    try:
        metadata = json.loads(path.read_text())
        indices = metadata["indices"]
        return Description(
            seed=int(metadata["seed"]),
            severities=tuple(int(severity) for severity in metadata["severities"]),
            digest=str(metadata["digest"]),
            indices=None if indices is None else tuple(int(index) for index in indices),
        )
    except (ValueError, KeyError, TypeError) as fault:
        raise InputError(f"{path} is damaged ({fault}); delete it and write the archive anew") from fault
