"""Dynamic sparse training: a network that is sparse from its first step, and whose masks move: set, rigl."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from winninghand.base.errors import LARGEST, InputError
from winninghand.base.randomness import CounterRNG
from winninghand.compression.budget import Budget, Scope
from winninghand.compression.masks import Masks, StartMasks
from winninghand.compression.method import Method, Start
from winninghand.compression.schedules import Phase
from winninghand.networks.entering import check_values

_LOG = logging.getLogger("winninghand")
# What stays ranks above all that may grow, whatever a weight costs in multiply-accumulates.
_FAR_ABOVE = 1e15


@dataclass(frozen=True)
class Regrowth:
    """When weights are exchanged, and how many: every `every` steps until the fraction `until` of a phase.

    The share of the weights that is dropped falls along a half cosine from `fraction` to 0 (Evci et al. 2020,
    arXiv:1911.11134, section 3).
    """

    fraction: float
    every: int
    until: float

    def share_at(self, step: int, steps: int) -> float:
        """Return which share of its weights a layer drops after `step` of the `steps` of a phase."""
        end = self.until * steps
        if step >= end or step % self.every:
            return 0.0
        return self.fraction / 2 * (1 + math.cos(math.pi * step / end))


class DynamicMasks(StartMasks, ABC):
    """Masks that are drawn before the first step; later the smallest weights make room for others.

    Of a layer's A weights ⌊ζA⌋ are dropped, those of the smallest magnitude, and as many grow, those of
    the largest `candidates`. What is dropped may grow at once, and then keeps its value; all else begins at
    0, without momentum. Under a layerwise budget each layer gets back as many as it gave; under
    a global one they go wherever the candidates are largest. `by_magnitude` begins with the largest
    weights in place of drawn ones.
    """

    def __init__(
        self,
        weights: Mapping[str, nn.Parameter],
        budget: Budget,
        regrowth: Regrowth,
        seed: int,
        by_magnitude: bool = False,
    ) -> None:
        super().__init__(weights, budget)
        self._regrowth = regrowth
        self._seed = seed
        self._by_magnitude = by_magnitude

    @abstractmethod
    def candidates(self) -> dict[str, Tensor]:
        """Return values of each weight's shape; where they are largest, weights grow."""

    def begin(self, phase: Phase, steps: int, step: int = 0, resumed: bool = False) -> None:
        """Enter a phase; it is told where the phase is too short for weights to be exchanged."""
        super().begin(phase, steps, step, resumed)
        if not resumed and phase.sparsity > 0 and self._regrowth.every >= self._regrowth.until * steps:
            _LOG.warning(
                "no weight is dropped or grown in %d steps at regrow_every = %d; lower it",
                steps,
                self._regrowth.every,
            )

    def choose(self, sparsity: float, allowed: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """Return masks drawn from the seed, or those of the largest weights."""
        if self._by_magnitude:
            return self.budget.choose(self.weights, sparsity, allowed)
        # Only later may a global budget move between layers; one in multiply-accumulates has no shares.
        budget = replace(self.budget, scope="layerwise") if self.budget.costs is None else self.budget
        return budget.choose(self.drawn("start"), sparsity, allowed)

    def after_step(self) -> None:
        """Set every pruned weight to zero, whatever momentum and decay did; exchange some where due."""
        self.step += 1
        self.apply()
        share = self._regrowth.share_at(self.step, self.steps)
        if self._pruned and share > 0:
            self._exchange(share)

    def drawn(self, when: str) -> dict[str, Tensor]:
        """Return random numbers for each weight in [0, 1), the same on every device."""
        key = torch.tensor([self._seed])
        return {
            name: _like(
                weight,
                CounterRNG(f"{when} {name}", key.to(weight.device))
                .uniform(weight.numel())
                .view(weight.shape),
            )
            for name, weight in self.weights.items()
        }

    @torch.no_grad()
    def _exchange(self, share: float) -> None:
        """Drop a share of each layer's weights, and grow as many."""
        check_values(self.weights)
        active, growing = self.as_dict(), self.mean(self.candidates())
        largest = max(float(values.max()) for values in growing.values()) or 1.0
        ranks = {}
        for name, weight in self.weights.items():
            count = int(active[name].sum())
            # Without the addition a product such as 0.29 · 100 lies below the whole number that it is.
            left = count - math.floor(share * count + 1e-9)
            stays = self.budget.strongest(weight, left, active[name])
            size = weight.float().abs()
            high = _FAR_ABOVE * (1 + size / size.max().clamp(min=torch.finfo(torch.float32).tiny))
            ranks[name] = _like(weight, torch.where(stays, high, growing[name] / largest))
        kept = self.budget.choose(ranks, self.phase.sparsity)
        self._keep(kept)
        for name, weight in self.weights.items():
            self._forget(weight, kept[name] & ~active[name])

    def _forget(self, weight: nn.Parameter, grown: Tensor) -> None:
        """Let optimizers begin anew with what has grown: momentum and the like become 0 there."""
        for optimizer in self.optimizers:
            for value in optimizer.state.get(weight, {}).values():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    value.masked_fill_(grown.to(value.device), 0)


class SetMasks(DynamicMasks):
    """Weights grow at random places, drawn from the seed and the step."""

    def candidates(self) -> dict[str, Tensor]:
        """Return random numbers."""
        return self.drawn(f"step {self.step}")


class RigLMasks(DynamicMasks):
    """Weights grow where the loss falls fastest: where the gradients of the last step were largest."""

    def candidates(self) -> dict[str, Tensor]:
        """Return the magnitude of each gradient, 0 of a layer without one; `InputError` without any."""
        gradients = {name: weight.grad for name, weight in self.weights.items()}
        if all(gradient is None for gradient in gradients.values()):
            raise InputError(
                "rigl grows weights by their gradients, and there are none; call the pruner's step() before "
                "zero_grad()"
            )
        return {
            name: torch.zeros_like(self.weights[name], dtype=torch.float32)
            if gradient is None
            else gradient.detach().float().abs().nan_to_num()
            for name, gradient in gradients.items()
        }


class DynamicSparseTraining(Method, ABC):
    """One training, sparse from its first step, in which weak weights are exchanged for others.

    Unless told otherwise, it begins with the densities of the Erdős–Rényi-kernel: more for small layers, and
    layers keep them. Under the global scope weights move between layers. A network that was trained before
    begins with its largest weights, any other with drawn ones.
    """

    shares_at_start: ClassVar[bool] = True
    of_masks: ClassVar[type[DynamicMasks]]

    scope: Scope = "layerwise"
    distribution: Literal["uniform", "erk"] = Field(
        default="erk", description="of densities over layers, at the start"
    )
    drop_fraction: float = Field(
        default=0.3, gt=0, lt=1, description="of a layer's weights exchanged at first; it falls to 0"
    )
    regrow_every: int = Field(default=100, ge=1, le=LARGEST, description="steps between two exchanges")
    regrow_until: float = Field(default=0.75, gt=0, le=1, description="fraction of the phase")

    def plan(self, epochs: int, start: Start = Start()) -> tuple[Phase, ...]:
        """Return the one phase."""
        return (Phase(epochs, self.sparsity),)

    def masks(
        self, network: nn.Module, weights: dict[str, nn.Parameter], budget: Budget, start: Start, seed: int
    ) -> Masks:
        """Return masks that move."""
        regrowth = Regrowth(self.drop_fraction, self.regrow_every, self.regrow_until)
        masks = self.of_masks(weights, budget, regrowth, seed, by_magnitude=start.learned)
        if start.sparsity > 0:
            masks.keep_zeros()
        return masks

    @model_validator(mode="before")
    @classmethod
    def _as_other_keys_need(cls, table: Any) -> Any:  # noqa: ANN401 (checked afterwards)
        if not isinstance(table, Mapping):
            return table
        pattern, budget = str(table.get("pattern")), table.get("budget", "weights")
        needed = {
            **({"distribution": "uniform"} if ":" in pattern else {}),
            **({"scope": "global"} if budget != "weights" else {}),
        }
        return {**needed, **table}


class SparseEvolution(DynamicSparseTraining):
    """Sparse evolutionary training: weights grow at random.

    Mocanu et al. 2018, arXiv:1707.04780; with the schedule and the densities of Evci et al. 2020.
    """

    name: ClassVar[str] = "set"
    of_masks: ClassVar[type[DynamicMasks]] = SetMasks


class RigL(DynamicSparseTraining):
    """Rigging the lottery: weights grow where the gradient of the dense network is largest.

    Evci et al. 2020, arXiv:1911.11134. The step at which weights are exchanged is taken too.
    """

    name: ClassVar[str] = "rigl"
    of_masks: ClassVar[type[DynamicMasks]] = RigLMasks


def _like(weight: Tensor, values: Tensor) -> Tensor:
    """Return values laid out in memory like a weight, so that all passes over both are fast."""
    return torch.empty_like(weight, dtype=torch.float32, requires_grad=False).copy_(values)
