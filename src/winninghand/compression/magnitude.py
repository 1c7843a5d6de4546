"""Pruning by magnitude: the smallest |w| go first, and what is pruned stays pruned."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor

import torch
from torch import Tensor, nn

from winninghand.compression import kernels
from winninghand.compression.budget import Budget
from winninghand.compression.layout import compilable, in_memory
from winninghand.compression.masks import Masks


class MagnitudeMasks(Masks):
    """One bool per weight, true where it is pruned; the network stays a plain module.

    A phase with a ramp prunes anew every `refresh_steps` steps.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], budget: Budget, refresh_steps: int = 10) -> None:
        super().__init__(weights, budget)
        self.refresh_steps = refresh_steps
        self._pruned: dict[str, Tensor] = {}

    def keep_zeros(self) -> None:
        """Count the weights that are zero now as pruned."""
        zeros = {name: weight.detach() == 0 for name, weight in self.weights.items()}
        self._pruned = {name: zero for name, zero in zeros.items() if bool(zero.any())}

    def after_step(self) -> None:
        """Set every pruned weight to zero, whatever momentum and decay did; prune more where that is due."""
        self.step += 1
        if self._due():
            self.prune_to(self.phase.sparsity_at(self.step / self.steps))
        else:
            self.apply()

    def prune_to(self, sparsity: float) -> None:
        """Prune the smallest weights until `sparsity` is reached, exactly.

        Raises `InputError` where that is below the present sparsity.
        """
        if sparsity > 0:
            kept = self.budget.choose(self.weights, sparsity, self._allowed() if self._pruned else None)
            self._pruned = {name: ~mask for name, mask in kept.items()}
            self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Set every pruned weight to zero."""
        for name, pruned in self._pruned.items():
            weight = self.weights[name]
            if compilable(weight, pruned):
                kernels.set_to_zero(in_memory(weight), in_memory(pruned))
            else:
                weight.masked_fill_(pruned, 0)

    def kept(self) -> dict[str, int]:
        """Return how many weights of each layer are not pruned."""
        return {name: weight.numel() - self._pruned_in(name) for name, weight in self.weights.items()}

    def finish(self) -> None:
        """Set every pruned weight to zero: the weights are ordinary ones all along."""
        self.apply()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the masks by weight name, true where pruned; empty before any pruning."""
        return dict(self._pruned)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take masks that `state_dict` returned, and apply them."""
        self._pruned = {}
        for name, mask in state.items():
            # A mask laid out like its weight is passed over in the order of memory.
            self._pruned[name] = torch.empty_like(self.weights[name], dtype=torch.bool).copy_(mask)
        self.apply()

    def _due(self) -> bool:
        ramp = self.phase.ramp
        if ramp is None:
            return False
        first, last = floor(ramp.begin * self.steps), ceil(ramp.end * self.steps)
        on_beat = first < self.step < last and (self.step - first) % self.refresh_steps == 0
        return on_beat or self.step == last

    def _allowed(self) -> dict[str, Tensor]:
        return {
            name: ~self._pruned[name] if name in self._pruned else torch.ones_like(weight, dtype=torch.bool)
            for name, weight in self.weights.items()
        }

    def _pruned_in(self, name: str) -> int:
        return int(self._pruned[name].sum()) if name in self._pruned else 0
