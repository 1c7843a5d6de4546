"""What a compression method is: a plan of phases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from winninghand.registry import Registry

if TYPE_CHECKING:
    from winninghand.compression.settings import Compression


@dataclass(frozen=True)
class Phase:
    """One training from a (re)start of the learning-rate schedule to its end.

    Before its first step the network is pruned to `sparsity`, and it stays there.
    """

    epochs: int
    sparsity: float


class Method(ABC):
    """A way to compress: how a recipe becomes phases."""

    name: ClassVar[str]

    @abstractmethod
    def plan(self, settings: Compression, epochs: int, trained: bool) -> tuple[Phase, ...]:
        """Return the phases, of `epochs` epochs each.

        `trained` says that the network arrives with weights worth keeping, so that it need not
        be trained once before anything is pruned.
        """


METHODS: Registry[Method] = Registry("method")
