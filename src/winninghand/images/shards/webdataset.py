"""Image sets in WebDataset shards: tar files with a picture and its label under each key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from winninghand.base.errors import InputError, brief, shown
from winninghand.images.checks import Int64Array
from winninghand.images.encoded import Encoded, file_stamp
from winninghand.images.encoded_sets import encoded_set
from winninghand.images.image_set import ImageSet
from winninghand.images.preparation import Preparation
from winninghand.images.shards.tar_index import Label, TarIndex, tar_index
from winninghand.images.source import Source

_CLASS_NAMES = "classnames.txt"
_LONGEST_CLASS_NAMES = 2**24


def webdataset_source(name: str, files: Mapping[str, Sequence[Path]]) -> Source:
    """Return the image set in the tar files of each split.

    A file `classnames.txt` beside them, or beside their folders, names the classes, one a line.
    """
    names = _class_names_beside(files)
    every = tuple(path for paths in files.values() for path in paths) + (() if names is None else (names,))
    return Source(name, every, lambda how: _decode(name, files, names, how), streams=True)


def _class_names_beside(files: Mapping[str, Sequence[Path]]) -> Path | None:
    folders = [files[split][0].parent for split in ("train", "test")]
    places = [folders[0], *({folders[0].parent} if folders[0] != folders[1] else ())]
    return next((place / _CLASS_NAMES for place in places if (place / _CLASS_NAMES).is_file()), None)


def _decode(name: str, files: Mapping[str, Sequence[Path]], names: Path | None, how: Preparation) -> ImageSet:
    classes = None if names is None else _class_names(names)
    found = {split: [tar_index(path) for path in files[split]] for split in ("train", "test")}
    kinds = {type(label) for indexes in found.values() for index in indexes for label in index.labels}
    if len(kinds) > 1:
        raise InputError(f"{name}: some labels are numbers and some names; make all of them one or the other")
    if kinds == {str} and classes is None:
        classes = sorted(
            {str(label) for indexes in found.values() for index in indexes for label in index.labels}
        )
    train, test = (TarMembers(files[split], indexes, classes) for split, indexes in found.items())
    return encoded_set(name, train, test, classes, how)


def _class_names(path: Path) -> list[str]:
    if path.stat().st_size > _LONGEST_CLASS_NAMES:
        raise InputError(f"{path} is larger than {_LONGEST_CLASS_NAMES:,} bytes; write a class's name a line")
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").rstrip().split("\n")]
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8; save it as such") from None


class TarMembers(Encoded):
    """Pictures in tar files, each of which is read alone, from its place there.

    `indexes` are those of the files. Labels that are names become their places among `classes`. Raises
    `InputError` for a name that is not among these, and where there is no picture.
    """

    def __init__(
        self, paths: Sequence[Path], indexes: Sequence[TarIndex], classes: Sequence[str] | None
    ) -> None:
        self._paths = paths
        self._ends = np.cumsum([len(index.names) for index in indexes])
        if not self._ends[-1]:
            raise InputError(f"{paths[0]} holds no pictures with labels; give WebDataset shards")
        every = [name.encode("utf-8", "surrogateescape") for index in indexes for name in index.names]
        self._names = np.array(every, dtype=np.bytes_)  # a third of the memory that texts take
        self._offsets = np.concatenate([np.array(index.offsets, dtype=np.int64) for index in indexes])
        self._lengths = np.concatenate([np.array(index.lengths, dtype=np.int64) for index in indexes])
        numbers = {name: number for number, name in enumerate(classes or ())}
        self.labels = np.empty(len(every), dtype=np.int64)
        for place, label in enumerate(label for index in indexes for label in index.labels):
            self.labels[place] = self._number(place, label, numbers)

    def name(self, place: int) -> str:
        """Return tar file and member of a picture."""
        member = bytes(self._names[place]).decode("utf-8", "surrogateescape")
        return f"{self._paths[self._shard(place)]} member {shown(member)}"

    def content(self, place: int) -> bytes:
        """Return the encoded picture of a member; `InputError` where the file has become shorter."""
        path, length = self._paths[self._shard(place)], int(self._lengths[place])
        try:
            with path.open("rb") as file:
                file.seek(int(self._offsets[place]))
                content = file.read(length)
        except OSError as error:
            raise InputError(f"{self.name(place)} cannot be read ({error.strerror}); put it back") from None
        if len(content) < length:
            raise InputError(f"{self.name(place)} is cut off; fetch the file again")
        return content

    def stamp(self, places: Int64Array) -> bytes:
        """Return names and lengths of the files, and the places."""
        return file_stamp(self._paths, places)

    def _shard(self, place: int) -> int:
        return int(np.searchsorted(self._ends, place, side="right"))

    def _number(self, place: int, label: Label, numbers: Mapping[str, int]) -> int:
        if isinstance(label, int):
            return label
        if label not in numbers:
            raise InputError(
                f"{self.name(place)} has the label {brief(label)}, which is no name in {_CLASS_NAMES}; mend "
                "one of them"
            )
        return numbers[label]
