"""How many weights of each layer a sparsity leaves, and which."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.compression.kernels import keep_largest
from winninghand.compression.patterns import Blocks, Pattern

Scope = Literal["global", "layerwise"]
Shape = tuple[int, ...]
Tensors = Mapping[str, Tensor]

Distribution = Callable[[Sequence[Shape], int], list[Fraction]]
"""Shares out a number of kept weights among layers of these shapes: one quota per layer, at most its size."""


def kept_count(total: int, sparsity: float) -> int:
    """Return how many of `total` weights stay at `sparsity`: the nearest whole number removed."""
    return total - math.floor(total * sparsity + 0.5)


def uniform(shapes: Sequence[Shape], kept: int) -> list[Fraction]:
    """Give every layer the same density."""
    sizes = [math.prod(shape) for shape in shapes]
    return [Fraction(size * kept, sum(sizes)) for size in sizes]


def erdos_renyi_kernel(shapes: Sequence[Shape], kept: int) -> list[Fraction]:
    """Give a layer weights in proportion to the sum of its dimensions, up to all of its weights.

    Erdős–Rényi-kernel (Evci et al. 2020, arXiv:1911.11134, section 3): the density is
    (inputs + outputs + kernel height + kernel width) over their product, so that small layers
    keep more. What a full layer cannot take goes to the others.
    """
    full: set[int] = set()
    while True:
        rest = [layer for layer in range(len(shapes)) if layer not in full]
        left = kept - sum(math.prod(shapes[layer]) for layer in full)
        total = sum(sum(shapes[layer]) for layer in rest)
        quotas = {layer: Fraction(sum(shapes[layer]) * left, total) for layer in rest}
        overfull = {layer for layer, quota in quotas.items() if quota > math.prod(shapes[layer])}
        if not overfull:
            return [quotas.get(layer, Fraction(math.prod(shape))) for layer, shape in enumerate(shapes)]
        full |= overfull


DISTRIBUTIONS: Mapping[str, Distribution] = {"uniform": uniform, "erk": erdos_renyi_kernel}


def layer_shares(
    shapes: Sequence[Shape], kept: int, distribution: Distribution, ceilings: Sequence[int]
) -> list[int]:
    """Share `kept` weights among layers, by largest remainder of their quotas.

    The shares sum to `kept`, which must not exceed the sum of the ceilings, and no layer gets more
    than its ceiling. Where no ceiling binds, each share is within one of its exact quota.
    """
    quotas = distribution(shapes, kept)
    shares = [min(math.floor(quota), ceiling) for quota, ceiling in zip(quotas, ceilings, strict=True)]
    by_remainder = sorted(range(len(quotas)), key=lambda layer: math.floor(quotas[layer]) - quotas[layer])
    missing = kept - sum(shares)
    while missing:
        for layer in by_remainder:
            if missing and shares[layer] < ceilings[layer]:
                shares[layer] += 1
                missing -= 1
    return shares


@dataclass(frozen=True)
class Budget:
    """Over what a sparsity is spent, and in what unit.

    With `costs`, the multiply-accumulates per weight by layer, the sparsity is the fraction of all
    multiply-accumulates that is removed; a weight w of cost c then ranks by w²/c, so that what is
    kept has the largest sum of squares for its price. With an N:M `pattern`, weights that do not divide
    into its groups stay dense, and the sparsity is that of the others. With `Blocks`, which go by their
    sum of squares too, it is met to within one block. With a `floor` above 0, a fraction, each layer of
    the global scope keeps at least one weight or block, and at least that fraction of what the uniform
    distribution would leave it.
    """

    scope: Scope = "global"
    distribution: Distribution = uniform
    pattern: Pattern | Blocks | None = None
    costs: Mapping[str, int] | None = None
    floor: float = 0.0

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
        # What was pruned to this very sparsity lies below it by less than one weight's, or block's, price.
        if kept - paid >= max(self._steps(prunable.values(), prices)):
            whole = sum(mask.numel() * price for mask, price in zip(prunable.values(), prices, strict=True))
            raise InputError(
                f"sparsity {sparsity:g} is below the present sparsity {1 - paid / whole:.4g}; "
                "ask for at least that"
            )
        if kept == 0:
            raise InputError(f"sparsity {sparsity:g} would leave no weight at all; lower it")
        floors = self._floors(prunable, kept, list(prunable.values()))
        if sum(floor * price for floor, price in zip(floors, prices, strict=True)) > kept:
            raise InputError(
                f"sparsity {sparsity:g} leaves less than a weight for each of {len(prunable)} layers; "
                "lower it, or set layer_floor = 0 to let layers lose all their weights"
            )
        if self.scope == "layerwise":
            shares = self._shares(prunable, kept, list(prunable.values()))
            steps = self._steps(prunable.values(), prices)
            for (name, mask), share, step in zip(prunable.items(), shares, steps, strict=True):
                if share < step:
                    raise InputError(
                        f"sparsity {sparsity:g} would empty layer {name!r} ({mask.numel()} weights) in "
                        "layerwise scope; lower it or use global scope"
                    )

    def choose(self, values: Tensors, sparsity: float, allowed: Tensors | None = None) -> dict[str, Tensor]:
        """Return for each layer a bool mask of the weights that are kept: those of the largest |values|.

        What is not `allowed` (by default everything is) is never kept; a block is allowed where any of
        its weights is. The total is exact to the weight, with `costs` to the price of one weight; with the
        layerwise scope each layer is within one weight of its share. With blocks, read block for weight.
        """
        ranked = {name: self._ranked(name, value, allowed) for name, value in values.items()}
        prunable = {name: value for name, value in ranked.items() if self._takes(value)}
        masks = {name: _whole(value, name, allowed) for name, value in ranked.items() if name not in prunable}
        kept = self._kept(prunable, sparsity)
        may = None if allowed is None else [allowed[name] for name in prunable]
        if self.scope == "global":
            parts = self._largest(self._raised(prunable, kept, may), kept, may, self._prices(prunable))
        else:
            parts, left = [], 0
            for number, (value, share) in enumerate(
                zip(prunable.values(), self._shares(prunable, kept, may), strict=True)
            ):
                parts += self._largest([value], share + left, None if may is None else [may[number]], [1])
                if isinstance(self.pattern, Blocks):
                    # What is less than a block goes to the next layer.
                    left += share - int(parts[-1].sum())
        masks |= zip(prunable, parts, strict=True)
        return {name: masks[name] for name in values}

    def pruned(self, weight: Tensor) -> Tensor:
        """Return a bool mask of what is pruned in a weight: its zeros, or its blocks of nothing but zeros."""
        if isinstance(self.pattern, Blocks):
            return ~self.pattern.spread(self.pattern.any_of(weight.detach() != 0), weight)
        return weight.detach() == 0

    def strongest(self, value: Tensor, count: int, allowed: Tensor) -> Tensor:
        """Return a bool mask of the `count` largest |values| of one layer among those that are allowed.

        With blocks, of the largest blocks of together at most so many weights.
        """
        [mask] = self._largest([value.detach()], count, [allowed], [1])
        return mask

    def _takes(self, weight: Tensor) -> bool:
        return not isinstance(self.pattern, Pattern) or self.pattern.fits(weight)

    def _largest(
        self, values: Sequence[Tensor], budget: int, allowed: Sequence[Tensor] | None, prices: Sequence[int]
    ) -> list[Tensor]:
        """Return masks of the largest values, or of the blocks of the largest, that the budget pays for."""
        blocks = self.pattern
        if not isinstance(blocks, Blocks):
            return keep_largest(values, budget, allowed, prices)
        kept = keep_largest(
            [blocks.magnitudes(value) for value in values],
            budget,
            None if allowed is None else [blocks.any_of(mask) for mask in allowed],
            self._steps(values, prices),
        )
        return [blocks.spread(mask, value) for mask, value in zip(kept, values, strict=True)]

    def _steps(self, weights: Iterable[Tensor], prices: Sequence[int]) -> list[int]:
        """Return what the least that stays or goes costs in each layer: a weight, or a block."""
        if not isinstance(self.pattern, Blocks):
            return list(prices)
        together = [self.pattern.together(weight) for weight in weights]
        return [price * number for price, number in zip(prices, together, strict=True)]

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
        # Of a budget of blocks a few weights may be left over.
        return layer_shares(shapes, min(kept, sum(ceilings)), self.distribution, ceilings)

    def _raised(self, prunable: Tensors, kept: int, allowed: Sequence[Tensor] | None) -> list[Tensor]:
        """Return the values by which weights rank, those of each layer's floor out of reach of all others."""
        values, floors = list(prunable.values()), self._floors(prunable, kept, allowed)
        for number, floor in enumerate(floors):
            if floor:
                may = None if allowed is None else [allowed[number]]
                [first] = self._largest([values[number]], floor, may, [1])
                values[number] = values[number].masked_fill(first, math.inf)
        return values

    def _floors(self, prunable: Tensors, kept: int, allowed: Sequence[Tensor] | None) -> list[int]:
        """Return how many weights each layer keeps at least."""
        if self.floor == 0 or self.scope != "global":
            return [0] * len(prunable)
        prices = self._prices(prunable)
        sizes = [value.numel() for value in prunable.values()]
        share = self.floor * kept / sum(size * price for size, price in zip(sizes, prices, strict=True))
        least = self._steps(prunable.values(), [1] * len(prices))
        floors = [max(step, math.floor(share * size)) for step, size in zip(least, sizes, strict=True)]
        if allowed is None:
            return floors
        return [min(floor, int(mask.sum())) for floor, mask in zip(floors, allowed, strict=True)]

    def _ranked(self, name: str, value: Tensor, allowed: Tensors | None) -> Tensor:
        """Return the values by whose magnitude weights are kept."""
        if self.costs is not None:
            return value.detach() / math.sqrt(self.costs[name])
        if isinstance(self.pattern, Pattern) and self.pattern.fits(value):
            magnitude = value.detach().abs()
            if allowed is not None:
                magnitude.masked_fill_(~allowed[name], -1)
            # The largest of each group are out of reach until the pattern is complete.
            return magnitude.masked_fill(self.pattern.largest(magnitude), math.inf)
        return value.detach()


def _whole(value: Tensor, name: str, allowed: Tensors | None) -> Tensor:
    return torch.ones_like(value, dtype=torch.bool) if allowed is None else allowed[name].clone()
