"""What a training asks of the processes that take part in it; here, of one that trains alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from winninghand.training.run_folder import RunFolder

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Alone:
    """One process of a training, which is the first of `size` = 1. `Several` is one of more.

    `rank` numbers the processes from 0. `fabric` is where they train together, None where the run makes
    its own.
    """

    rank: int = 0
    size: int = 1
    fabric: Fabric | None = None

    def folder(self, path: Path | str, kept: bool) -> RunFolder:
        """Return the folder of a run, in which only the first process writes."""
        return RunFolder(path, kept)

    def synchronised_norms(self) -> AbstractContextManager[object]:
        """Have batch-norms see the images of all processes while a block runs."""
        return nullcontext()

    def part(self, count: int) -> slice:
        """Return which of `count` things of one batch are this process's: consecutive ones."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def share(self, count: int) -> float:
        """Return this process's part of `count` things, as a multiple of the mean part."""
        part = self.part(count)
        length: int = part.stop - part.start
        return length * self.size / count

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        return value

    def least(self, value: Tensor) -> Tensor:
        """Return the smallest values of a tensor over all processes."""
        return value

    def mean(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the means of tensors over all processes."""
        return dict(tensors)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over all processes, in place."""

    def check_same(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        """Raise `InputError`, in all processes, where tensors are not the same in all of them."""

    def check_identity(self, identity: Mapping[str, Any], out: Path | str | None) -> None:
        """Raise `InputError`, in all processes, where one of them has another run or folder `out`."""


ALONE = Alone()
