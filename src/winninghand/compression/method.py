"""What a compression method is: a plan of phases, and masks that carry it out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from winninghand.base import catalog
from winninghand.base.registry import Registry
from winninghand.compression.magnitude import MagnitudeMasks
from winninghand.compression.phase import Phase

if TYPE_CHECKING:
    from torch import nn

    from winninghand.compression.budget import Budget
    from winninghand.compression.masks import Masks
    from winninghand.compression.settings import Compression


@dataclass(frozen=True)
class Start:
    """What a method finds: whether the network's weights are worth keeping, and their sparsity."""

    trained: bool = False
    sparsity: float = 0.0


class Method(ABC):
    """A way to compress: how a recipe becomes phases, and what its masks go by."""

    name: ClassVar[str]

    @abstractmethod
    def plan(self, settings: Compression, epochs: int, start: Start) -> tuple[Phase, ...]:
        """Return the phases, of `epochs` epochs each.

        A trained network need not be trained once before anything is pruned. Raises `InputError`
        where settings and epochs contradict each other.
        """

    def masks(
        self,
        network: nn.Module,
        weights: dict[str, nn.Parameter],
        budget: Budget,
        settings: Compression,
        start: Start,
        seed: int,
    ) -> Masks:
        """Return the masks of `weights`, prunable weights of the network by name: here, by magnitude."""
        masks = MagnitudeMasks(weights, budget, settings.refresh_steps)
        if start.sparsity > 0:
            masks.keep_zeros()
        return masks

    def respects_zeros(self, settings: Compression) -> bool:
        """Say whether weights that a trained network arrives without count as pruned."""
        return True


METHODS: Registry[type[Method]] = catalog.METHODS
