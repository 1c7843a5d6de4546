"""Which weights of which layers a sparsity leaves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.compression.pattern import Pattern
from winninghand.compression.selection import keep_largest
from winninghand.compression.shares import Distribution, layer_shares

Scope = Literal["global", "layerwise"]
Tensors = Mapping[str, Tensor]


def kept_count(total: int, sparsity: float) -> int:
    """Return how many of `total` weights stay at `sparsity`: the nearest whole number removed."""
    return total - math.floor(total * sparsity + 0.5)


@dataclass(frozen=True)
class Budget:
    """Over what a sparsity is spent, and in what unit.

    With `costs`, the multiply-accumulates per weight by layer, the sparsity is the fraction of all
    multiply-accumulates that is removed; a weight w of cost c then ranks by w²/c, so that what is
    kept has the largest sum of squares for its price. With a `pattern`, weights that do not divide
    into its groups stay dense, and the sparsity is that of the others.
    """

    scope: Scope = "global"
    distribution: Distribution = "uniform"
    pattern: Pattern | None = None
    costs: Mapping[str, int] | None = None

    def check(self, allowed: Tensors, sparsity: float) -> None:
        """Raise `InputError` where `sparsity` cannot be reached by pruning from what is `allowed`.

        It may be below the present sparsity, leave no weight at all, or empty a layer in layerwise
        scope.
        """
        prunable = {name: mask for name, mask in allowed.items() if self._takes(mask)}
        if not prunable:
            raise InputError(
                "no weight's inputs divide into the groups of the pattern; choose another pattern"
            )
        kept, prices = self._kept(prunable, sparsity), self._prices(prunable)
        alive = [int(mask.sum()) for mask in prunable.values()]
        paid = sum(count * price for count, price in zip(alive, prices, strict=True))
        if kept > paid:
            whole = sum(mask.numel() * price for mask, price in zip(prunable.values(), prices, strict=True))
            raise InputError(
                f"sparsity {sparsity:g} is below the present sparsity {1 - paid / whole:.4g}; "
                "ask for at least that"
            )
        if kept == 0:
            raise InputError(f"sparsity {sparsity:g} would leave no weight at all; lower it")
        if self.scope == "layerwise":
            for (name, mask), share in zip(
                prunable.items(), self._shares(prunable, kept, list(prunable.values())), strict=True
            ):
                if share == 0:
                    raise InputError(
                        f"sparsity {sparsity:g} would empty layer {name!r} ({mask.numel()} weights) in "
                        "layerwise scope; lower it or use global scope"
                    )

    def choose(self, values: Tensors, sparsity: float, allowed: Tensors | None = None) -> dict[str, Tensor]:
        """Return for each layer a bool mask of the weights that are kept: those of the largest |values|.

        What is not `allowed` (by default everything is) is never kept. The total is exact to the
        weight, with `costs` to the price of one weight; with the layerwise scope each layer is
        within one weight of its share.
        """
        ranked = {name: self._ranked(name, value, allowed) for name, value in values.items()}
        prunable = {name: value for name, value in ranked.items() if self._takes(value)}
        masks = {name: _whole(value, name, allowed) for name, value in ranked.items() if name not in prunable}
        kept = self._kept(prunable, sparsity)
        may = None if allowed is None else [allowed[name] for name in prunable]
        if self.scope == "global":
            parts = keep_largest(list(prunable.values()), kept, may, self._prices(prunable))
        else:
            parts = []
            for number, (value, share) in enumerate(
                zip(prunable.values(), self._shares(prunable, kept, may), strict=True)
            ):
                parts += keep_largest([value], share, None if may is None else [may[number]])
        masks |= zip(prunable, parts, strict=True)
        return {name: masks[name] for name in values}

    def _takes(self, weight: Tensor) -> bool:
        return self.pattern is None or self.pattern.fits(weight)

    def _kept(self, prunable: Tensors, sparsity: float) -> int:
        """Return how much is kept: weights, or multiply-accumulates."""
        prices = self._prices(prunable)
        total = sum(value.numel() * price for value, price in zip(prunable.values(), prices, strict=True))
        return kept_count(total, sparsity)

    def _prices(self, prunable: Tensors) -> list[int]:
        return [1 if self.costs is None else self.costs[name] for name in prunable]

    def _shares(self, prunable: Tensors, kept: int, allowed: Sequence[Tensor] | None) -> list[int]:
        shapes = [tuple(value.shape) for value in prunable.values()]
        if allowed is None:
            ceilings = [math.prod(shape) for shape in shapes]
        else:
            ceilings = [int(mask.sum()) for mask in allowed]
        return layer_shares(shapes, kept, self.distribution, ceilings)

    def _ranked(self, name: str, value: Tensor, allowed: Tensors | None) -> Tensor:
        """Return the values by whose magnitude weights are kept."""
        if self.costs is not None:
            return value.detach() / math.sqrt(self.costs[name])
        if self.pattern is not None and self.pattern.fits(value):
            magnitude = value.detach().abs()
            if allowed is not None:
                magnitude.masked_fill_(~allowed[name], -1)
            # The largest of each group are out of reach until the pattern is complete.
            return magnitude.masked_fill(self.pattern.largest(magnitude), math.inf)
        return value.detach()


def _whole(value: Tensor, name: str, allowed: Tensors | None) -> Tensor:
    return torch.ones_like(value, dtype=torch.bool) if allowed is None else allowed[name].clone()
