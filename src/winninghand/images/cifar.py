"""`cifar10` and `cifar100` (Krizhevsky 2009), in whichever layout they are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from winninghand.errors import InputError
from winninghand.images.image_set import ImageSet
from winninghand.images.parquet import parquet
from winninghand.images.source import NAMED, Source


@dataclass(frozen=True)
class Cifar:
    """A set known by name: how many classes it has and where it usually lies."""

    name: str
    classes: int
    folders: Sequence[str]
    repository: str

    def __call__(self, root: Path | None) -> Source:
        """Return the set as found under `root`; raises `InputError` where it is nowhere."""
        found = self._under(root) if root is not None else None
        if found is None:
            raise InputError(f"{self.name} was not found under {root}; pass --root with the folder")
        inner = found.decode
        return replace(found, name=self.name, decode=lambda size: self._checked(inner(size)))

    def _under(self, root: Path) -> Source | None:
        for folder in self.folders:
            if found := parquet(root / folder):
                return found
        return None

    def _checked(self, images: ImageSet) -> ImageSet:
        if len(images.classes) != self.classes:
            raise InputError(
                f"{self.name} has {self.classes} classes, the files found hold {len(images.classes)}"
            )
        return replace(images, name=self.name)


NAMED.register("cifar10")(Cifar("cifar10", 10, ("cifar10",), "uoft-cs/cifar10"))
