"""Masks: which of the prunable weights of a network are kept, from step to step; and those by magnitude."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from winninghand.compression import kernels
from winninghand.compression.budget import Budget
from winninghand.compression.kernels import compilable, in_memory
from winninghand.compression.parametrization import parameters_by_own_name
from winninghand.compression.schedules import Phase
from winninghand.compression.states import check_alike, check_no_others
from winninghand.networks.entering import check_values

_LOG = logging.getLogger("winninghand")

Score = Callable[[nn.Parameter], Tensor]
"""Maps a weight to values of its shape; those of the largest magnitude are kept."""

Batch = tuple[Tensor, Tensor]
"""Images as the network sees them, floats (N, channels, H, W), and their labels, int64 (N,)."""
Examples = Callable[[int], Iterable[Batch]]
"""Gives batches of up to so many training images of each class, the same ones at every call."""
EXAMPLES_AT_ONCE = 128
"""Examples come in batches of at most so many images."""


class Masks(ABC):
    """What a training loop calls: `begin` each phase, `after_step` each optimizer step, at last `finish`.

    Before that it says what it knows, for methods that need it: the `input_size` (H, W), `examples` of
    what is learned, and the `optimizers` of the weights. Where several processes train together, `mean`
    returns the means of tensors over all of them, so that they choose by the same scores.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], budget: Budget) -> None:
        self.weights = dict(weights)
        self.budget = budget
        self.phase = Phase(epochs=1, sparsity=0.0)
        self.steps = 1
        self.step = 0
        self.input_size: tuple[int, int] | None = None
        self.examples: Examples | None = None
        self.mean: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict
        self.optimizers: Sequence[torch.optim.Optimizer] = ()
        self._reported: tuple[str, ...] = ()

    def begin(self, phase: Phase, steps: int, step: int = 0, resumed: bool = False) -> None:
        """Enter a phase of `steps` steps at `step`; one that is `resumed` brings its masks along."""
        self.phase, self.steps, self.step = phase, steps, step
        if not resumed:
            self.prune_to(phase.sparsity_at(step / steps))

    def freeze(self) -> None:  # noqa: B027
        """Take what does not move out of the optimizer, before the network is wrapped for processes."""

    @abstractmethod
    def after_step(self) -> None:
        """Do what an optimizer step makes due: follow the phase's sparsity, keep pruned weights at zero."""

    @abstractmethod
    def apply(self) -> None:
        """Bring masks and weights together again after the network's state has been replaced."""

    @abstractmethod
    def apply_to(self, other: nn.Module) -> None:
        """Prune a copy of the network, such as one of averaged weights, by the present masks.

        Raises `InputError`, and changes nothing, where it is no copy (`weights_of`).
        """

    @abstractmethod
    def prune_to(self, sparsity: float) -> None:
        """Prune until `sparsity` is reached, exactly."""

    @abstractmethod
    def as_dict(self) -> dict[str, Tensor]:
        """Return for each prunable weight a bool mask of its shape, true where it is kept."""

    def emptied(self) -> tuple[str, ...]:
        """Return the names of the layers of which nothing is left."""
        return tuple(name for name, count in self._counts().items() if count == 0)

    def end_epoch(self) -> dict[str, float | int]:
        """Return what there is to report; a layer of which nothing is left is warned of as well."""
        counts = self._counts()
        emptied = tuple(name for name, count in counts.items() if count == 0)
        if emptied and emptied != self._reported:
            _LOG.warning(
                "pruning has emptied %s: the network's output no longer depends on what they see",
                ", ".join(emptied),
            )
        self._reported = emptied
        return {"sparsity": self._sparsity(counts), "emptied_layers": len(emptied)}

    @abstractmethod
    def finish(self) -> None:
        """Leave ordinary weights in the network under its own names, pruned ones zero."""

    @property
    def sparsity(self) -> float:
        """Fraction of the prunable weights that is pruned."""
        return self._sparsity(self._counts())

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return what the network's own state does not hold."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take what `state_dict` returned."""

    def check_state(self, state: Mapping[str, object], sparsity: float, finished: bool) -> None:  # noqa: B027
        """Raise `InputError` unless `state_dict` can have returned this, at a sparsity; change nothing."""

    def unsynchronised(self) -> dict[str, Tensor]:
        """Return what has to be the same in all processes, and DistributedDataParallel does not send."""
        return self.as_dict()

    def weights_of(self, other: nn.Module) -> dict[str, nn.Parameter]:
        """Return the weights of a copy of the network; `InputError` if one is missing or misshapen."""
        found = parameters_by_own_name(other)
        check_alike("the module, which is no copy of the pruned one,", found, self.weights)
        return {name: found[name] for name in self.weights}

    def _counts(self) -> dict[str, int]:
        return {name: int(mask.sum()) for name, mask in self.as_dict().items()}

    def _sparsity(self, counts: Mapping[str, int]) -> float:
        total = sum(weight.numel() for weight in self.weights.values())
        return (total - sum(counts.values())) / total


def magnitude(weight: nn.Parameter) -> Tensor:
    """Score a weight by itself: the smallest |w| go first (Han et al. 2015, arXiv:1506.02626)."""
    return weight


class MagnitudeMasks(Masks):
    """One bool per weight, true where it is pruned; what is pruned stays pruned, the network a plain module.

    `score` says what is smallest; by default the weight itself.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], budget: Budget, score: Score = magnitude) -> None:
        super().__init__(weights, budget)
        self._score = score
        self._pruned: dict[str, Tensor] = {}

    def keep_zeros(self) -> None:
        """Count the weights that are zero now as pruned, or the blocks of which nothing is left."""
        zeros = {name: self.budget.pruned(weight) for name, weight in self.weights.items()}
        self._pruned = {name: zero for name, zero in zeros.items() if bool(zero.any())}

    def after_step(self) -> None:
        """Set every pruned weight to zero, whatever momentum and decay did; prune more where that is due."""
        self.step += 1
        ramp = self.phase.ramp
        if ramp is not None and ramp.is_due(self.step, self.steps):
            self.prune_to(self.phase.sparsity_at(self.step / self.steps))
        else:
            self.apply()

    def prune_to(self, sparsity: float) -> None:
        """Prune the smallest weights until `sparsity` is reached, exactly.

        Raises `InputError` that names a weight with values that are not finite: none of them is smallest.
        """
        if sparsity > 0:
            check_values(self.weights)
            self._follow_device()
            scores = {name: self._score(weight) for name, weight in self.weights.items()}
            self._keep(self.budget.choose(scores, sparsity, self._allowed()))

    def apply(self) -> None:
        """Set every pruned weight to zero."""
        self._follow_device()
        for name, pruned in self._pruned.items():
            _set_to_zero(self.weights[name], pruned)

    def apply_to(self, other: nn.Module) -> None:
        """Set to zero in a copy of the network what is pruned in the network."""
        weights = self.weights_of(other)
        for name, pruned in self._pruned.items():
            _set_to_zero(weights[name], pruned.to(weights[name].device))

    def as_dict(self) -> dict[str, Tensor]:
        """Return for each prunable weight a bool mask of its shape, true where it is kept."""
        return {
            name: ~self._pruned[name] if name in self._pruned else torch.ones_like(weight, dtype=torch.bool)
            for name, weight in self.weights.items()
        }

    def finish(self) -> None:
        """Set every pruned weight to zero: the weights are ordinary ones all along."""
        self.apply()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the masks by weight name, true where pruned; empty before any pruning."""
        return dict(self._pruned)

    def check_state(self, state: Mapping[str, object], sparsity: float, finished: bool) -> None:
        """Raise `InputError` unless these are masks of the weights: of all where something is pruned."""
        what = "the masks of the pruner's state"
        wanted = self.as_dict() if sparsity > 0 else {}
        check_no_others(what, state, wanted)
        check_alike(what, state, wanted)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take masks that `state_dict` returned, and apply them."""
        self._pruned = {}
        for name, mask in state.items():
            # A mask laid out like its weight is passed over in the order of memory.
            self._pruned[name] = torch.empty_like(self.weights[name], dtype=torch.bool).copy_(mask)
        self.apply()

    def _allowed(self) -> dict[str, Tensor] | None:
        """Return what may be kept: all that is not pruned; None for everything."""
        return self.as_dict() if self._pruned else None

    def _keep(self, kept: Mapping[str, Tensor]) -> None:
        """Prune all but what is `kept`."""
        self._pruned = {name: ~mask for name, mask in kept.items()}
        self.apply()

    def _follow_device(self) -> None:
        """Bring the masks to where the weights are, after the caller has moved the network."""
        for name, pruned in self._pruned.items():
            if pruned.device != self.weights[name].device:
                self._pruned[name] = pruned.to(self.weights[name].device)


class StartMasks(MagnitudeMasks, ABC):
    """Masks that are chosen once, before the first step, by something else than magnitude."""

    _chosen = False

    @abstractmethod
    def choose(self, sparsity: float, allowed: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """Return a bool mask of each weight, true where it is kept: of what is `allowed`, None everything."""

    def prune_to(self, sparsity: float) -> None:
        """Choose the masks; once they are chosen, nothing happens."""
        if sparsity > 0 and not self._chosen:
            check_values(self.weights)
            self._follow_device()
            self._keep(self.choose(sparsity, self._allowed()))
            self._chosen = True

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take masks that `state_dict` returned, and apply them."""
        super().load_state_dict(state)
        self._chosen = bool(state)


@torch.no_grad()
def _set_to_zero(weight: Tensor, pruned: Tensor) -> None:
    if compilable(weight, pruned):
        kernels.set_to_zero(in_memory(weight), in_memory(pruned))
    else:
        weight.masked_fill_(pruned, 0)
