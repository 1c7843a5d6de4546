"""Encoded pictures where they lie: the one shape of class folders, parquet files and tar files."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import InputError
from winninghand.images.checks import Int64Array
from winninghand.images.pictures import Picture

TOGETHER = 2**28
"""Bytes of encoded pictures that are read together, and so in memory, at most."""


class Encoded(ABC):
    """Pictures that stay where they are: how many there are, what each is labelled, and its bytes.

    `labels` are whole numbers (N,), as they were found. Several threads may ask at a time.
    """

    labels: npt.NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def name(self, place: int) -> str:
        """Return what errors call the picture at a place: its file, and where it lies in that."""

    @abstractmethod
    def content(self, place: int) -> bytes | Path:
        """Return the encoded picture, or the file that holds it alone.

        Raises `InputError` that names it where it cannot be read.
        """

    @abstractmethod
    def stamp(self, places: Int64Array) -> bytes:
        """Return what tells those at some places from others, without a look at every picture."""

    def groups(self) -> tuple[Int64Array, Int64Array] | None:
        """Return what can only be read together: the group of each picture, and the bytes of each group.

        None where each is read alone. Raises `InputError` for groups that would fill the memory.
        """
        return None

    def picture(self, place: int) -> Picture:
        """Return the picture at a place; its bytes are read when it is decoded."""
        return Picture(self.name(place), partial(self.content, place))


def file_stamp(paths: Sequence[Path], places: Int64Array) -> bytes:
    """Return what tells pictures in shards from others: names and lengths of these, and the places."""
    try:
        lengths = [f"{path.name} {path.stat().st_size}" for path in paths]
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read ({error.strerror}); put it back") from None
    text = "\n".join(lengths).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text).digest() + np.ascontiguousarray(places).tobytes()
