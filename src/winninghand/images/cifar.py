"""`cifar10` and `cifar100` (Krizhevsky 2009), in whichever layout they are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.images.cifar_batches import cifar_batches
from winninghand.images.hub import PREFIX, from_hub
from winninghand.images.image_set import ImageSet
from winninghand.images.parquet import parquet
from winninghand.images.source import Source


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
        return replace(found, name=self.name, decode=lambda size: self._checked(decode(size)))

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
