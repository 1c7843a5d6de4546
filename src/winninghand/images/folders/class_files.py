"""The image files of each class, and which of them are drawn as test images where none are given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from unicodedata import normalize

import numpy as np

from winninghand.base.errors import InputError
from winninghand.images.checks import BoolArray, Int64Array
from winninghand.images.pictures import listed
from winninghand.images.preparation import Preparation

Classes = dict[str, list[Path]]


@dataclass(frozen=True)
class ClassFiles:
    """The image files of each class below a folder.

    Without test images these are drawn from those to train on. `joined` says that images kept for
    validation are among those to train on; `label_files` are those that name the classes of images outside
    of class folders.
    """

    folder: Path
    train: Classes
    test: Classes | None
    joined: bool = False
    label_files: tuple[Path, ...] = ()

    @property
    def everything(self) -> tuple[Path, ...]:
        """All files that the images and their labels depend on."""
        parts = (self.train, self.test or {})
        return (*(path for part in parts for paths in part.values() for path in paths), *self.label_files)

    def check(self) -> None:
        """Raise `InputError` where test images are to be drawn and a class cannot spare one."""
        lone = [name for name, paths in self.train.items() if len(paths) < 2]
        if self.test is None and lone:
            raise InputError(
                f"{self.folder} has one image alone of {named(lone)}; add some, or put test images into "
                "a folder test/ beside train/"
            )

    def draw(self, kept: Int64Array, how: Preparation) -> BoolArray:
        """Say of those files of all classes, by their places, which can be read, which are to test.

        Of each class so many as wanted: those whose names have the least hashes. By the names, so that an
        image that is added later, or cannot be read any more, hardly moves others to the other part.
        """
        labelled = [(path, number) for number, paths in enumerate(self.train.values()) for path in paths]

        def rank(place: int) -> bytes:
            name = normalize("NFC", labelled[kept[place]][0].relative_to(self.folder).as_posix())
            return blake2b(f"{how.split_seed} {name}".encode("utf-8", "surrogateescape")).digest()

        of_class: dict[int, list[int]] = defaultdict(list)
        for place, index in enumerate(kept.tolist()):
            of_class[labelled[index][1]].append(place)
        is_test = np.zeros(len(kept), dtype=np.bool_)
        for places in of_class.values():
            count = min(max(1, round(len(places) * how.test_fraction)), len(places) - 1)
            is_test[sorted(places, key=rank)[:count]] = True
        return is_test


def named(names: Iterable[str]) -> str:
    """Return names in quotes, as far as a line holds them."""
    return listed([repr(name) for name in names], ", ", 300)
