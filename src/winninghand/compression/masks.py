"""Masks: which of the prunable weights of a network are pruned, from step to step."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from winninghand.compression.budget import Budget
from winninghand.compression.phase import Phase

_LOG = logging.getLogger("winninghand")


class Masks(ABC):
    """What a training loop calls: `begin` each phase, `after_step` each optimizer step, at last `finish`."""

    def __init__(self, weights: Mapping[str, nn.Parameter], budget: Budget) -> None:
        self.weights = dict(weights)
        self.budget = budget
        self.phase = Phase(epochs=1, sparsity=0.0)
        self.steps = 1
        self.step = 0
        self._reported: tuple[str, ...] = ()

    def begin(self, phase: Phase, steps: int, step: int = 0, resumed: bool = False) -> None:
        """Enter a phase of `steps` steps at `step`; one that is `resumed` brings its masks along."""
        self.phase, self.steps, self.step = phase, steps, step
        if not resumed:
            self.prune_to(phase.sparsity_at(step / steps))

    @abstractmethod
    def after_step(self) -> None:
        """Do what an optimizer step makes due: follow the phase's sparsity, keep pruned weights at zero."""

    @abstractmethod
    def apply(self) -> None:
        """Bring masks and weights together again after the network's state has been replaced."""

    @abstractmethod
    def prune_to(self, sparsity: float) -> None:
        """Prune until `sparsity` is reached, exactly."""

    @abstractmethod
    def kept(self) -> dict[str, int]:
        """Return how many weights of each layer are not pruned."""

    def end_epoch(self) -> dict[str, float | int]:
        """Return what there is to report; a layer of which nothing is left is warned of as well."""
        emptied = self.emptied
        if emptied and emptied != self._reported:
            _LOG.warning(
                "pruning has emptied %s: the network's output no longer depends on what they see",
                ", ".join(emptied),
            )
        self._reported = emptied
        return {"sparsity": self.sparsity, "emptied_layers": len(emptied)}

    @abstractmethod
    def finish(self) -> None:
        """Leave ordinary weights in the network under its own names, pruned ones zero."""

    @property
    def sparsity(self) -> float:
        """Fraction of the prunable weights that is pruned."""
        total = sum(weight.numel() for weight in self.weights.values())
        return (total - sum(self.kept().values())) / total

    @property
    def emptied(self) -> tuple[str, ...]:
        """Names of the layers of which nothing is left."""
        return tuple(name for name, count in self.kept().items() if count == 0)

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return what the network's own state does not hold."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take what `state_dict` returned."""
