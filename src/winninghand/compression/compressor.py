"""A network and a compression method, brought together and checked before anything runs."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

import torch
from torch import nn

from winninghand.base.errors import InputError
from winninghand.compression.budget import Budget
from winninghand.compression.masks import Masks
from winninghand.compression.method import Method, Start
from winninghand.compression.prunable import prunable_weights, weight_costs
from winninghand.compression.schedules import Phase


class Compressor:
    """What is to be done to a network: its prunable weights, phases and masks.

    `trained` says that the network arrives with weights worth keeping: its zeros then count as
    pruned. `exclude` names modules and weights that are left alone; `size` is the images' (H, W),
    needed for a budget in multiply-accumulates.
    """

    def __init__(
        self,
        network: nn.Module,
        method: Method,
        trained: bool = False,
        exclude: Collection[str] = (),
        size: tuple[int, int] | None = None,
    ) -> None:
        self.network = network
        self.method = method
        self.weights = prunable_weights(network, exclude)
        self.size = size
        self.start = Start(trained, self._zeros() if trained else 0.0)

    def phases(self, epochs: int) -> tuple[Phase, ...]:
        """Return the phases, of `epochs` epochs each; `InputError` where the network cannot take them."""
        phases = self.method.plan(epochs, self.start)
        counted = self.start.sparsity > 0
        allowed = {
            name: weight != 0 if counted else torch.ones_like(weight, dtype=torch.bool)
            for name, weight in self.weights.items()
        }
        zeros = self.method.respects_zeros()
        self._budget.check(allowed, self.method.sparsity if zeros else phases[-1].sparsity)
        return phases

    def masks(self, seed: int) -> Masks:
        """Return the masks; with a method that draws weights or scores, drawn from the seed."""
        return self.method.masks(self.network, self.weights, self._budget, self.start, seed)

    @cached_property
    def _budget(self) -> Budget:
        costs = None
        if self.method.budget == "macs":
            if self.size is None:
                raise InputError('budget "macs" depends on the size of the images; give input_size = (H, W)')
            costs = weight_costs(self.network, self.weights, self.size)
        return self.method.budget_with(costs)

    def _zeros(self) -> float:
        """Return the fraction of the prunable weights that is zero and stays so."""
        if not self.method.respects_zeros():
            return 0.0
        total = sum(weight.numel() for weight in self.weights.values())
        return sum(weight.numel() - int(weight.count_nonzero()) for weight in self.weights.values()) / total
