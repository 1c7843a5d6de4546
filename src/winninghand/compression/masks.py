"""Pruned weights, and how they stay zero."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from winninghand.compression.budget import Scope, select


class Masks:
    """Which of the prunable weights of a network are pruned: one bool per weight.

    Pruning is by magnitude: the smallest |w| go first, and what is pruned stays pruned.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], scope: Scope) -> None:
        self.weights = dict(weights)
        self.scope = scope
        self._pruned: dict[str, Tensor] = {}

    @property
    def sparsity(self) -> float:
        """Fraction of the prunable weights that is pruned."""
        total = sum(weight.numel() for weight in self.weights.values())
        return sum(int(pruned.sum()) for pruned in self._pruned.values()) / total

    def prune_to(self, sparsity: float) -> None:
        """Prune the smallest weights until `sparsity` is reached, exactly.

        Raises `InputError` where the budget cannot be kept (see `select`).
        """
        if sparsity > 0:
            kept = select(self._magnitudes(), sparsity, self.scope)
            self._pruned = {name: ~mask for name, mask in kept.items()}
            self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Set every pruned weight to zero: after each optimizer step, whatever momentum and decay did."""
        for name, pruned in self._pruned.items():
            self.weights[name].masked_fill_(pruned, 0)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the masks by weight name, true where pruned; empty before any pruning."""
        return dict(self._pruned)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take masks that `state_dict` returned, and apply them."""
        self._pruned = {name: mask.to(self.weights[name].device) for name, mask in state.items()}
        self.apply()

    def _magnitudes(self) -> dict[str, Tensor]:
        """Return |w| of every prunable weight, and −1 where it is pruned already."""
        scores = {name: weight.detach().abs() for name, weight in self.weights.items()}
        for name, pruned in self._pruned.items():
            scores[name].masked_fill_(pruned, -1)
        return scores
