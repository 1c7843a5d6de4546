"""How many weights each layer may keep, and which."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from winninghand.compression.selection import keep_largest
from winninghand.errors import InputError

Scope = Literal["global", "layerwise"]


def kept_count(total: int, sparsity: float) -> int:
    """Return how many of `total` weights stay at `sparsity`: the nearest whole number removed."""
    return total - math.floor(total * sparsity + 0.5)


def select(scores: Mapping[str, Tensor], sparsity: float, scope: Scope) -> dict[str, Tensor]:
    """Return for each layer a bool mask, true where a weight is kept.

    `scores` are ≥ 0 for weights that may be kept and −1 for those that are pruned already, which
    stay pruned. Over all layers exactly `kept_count(total, sparsity)` weights are kept; with the
    `layerwise` scope each layer keeps its share to within one weight. Ties go to the lower index.

    Raises `InputError` when fewer weights are left than the sparsity keeps, or when a layerwise
    budget would empty a layer.
    """
    total = sum(score.numel() for score in scores.values())
    kept = kept_count(total, sparsity)
    alive = {name: int((score >= 0).sum()) for name, score in scores.items()}
    if kept > sum(alive.values()):
        raise InputError(
            f"sparsity {sparsity:g} is below the present sparsity {1 - sum(alive.values()) / total:.4g}; "
            "ask for at least that"
        )
    if scope == "global":
        flat = torch.cat([score.reshape(-1) for score in scores.values()])
        parts = keep_largest(flat, kept).split([score.numel() for score in scores.values()])
        return {name: part.view_as(scores[name]) for name, part in zip(scores, parts, strict=True)}
    shares = layer_shares([score.numel() for score in scores.values()], kept, list(alive.values()))
    for name, share in zip(scores, shares, strict=True):
        if share == 0:
            raise InputError(
                f"sparsity {sparsity:g} would empty layer {name!r} ({scores[name].numel()} weights) in "
                "layerwise scope; lower it or use global scope"
            )
    return {
        name: keep_largest(score, share) for (name, score), share in zip(scores.items(), shares, strict=True)
    }


def layer_shares(sizes: Sequence[int], kept: int, ceilings: Sequence[int]) -> list[int]:
    """Share `kept` weights among layers in proportion to `sizes`, by largest remainder.

    No layer gets more than its ceiling, and the shares sum to `kept`, which must not exceed the
    sum of the ceilings. Where no ceiling binds, each share is within one of its exact quota.
    """
    total = sum(sizes)
    shares = [min(size * kept // total, ceiling) for size, ceiling in zip(sizes, ceilings, strict=True)]
    by_remainder = sorted(range(len(sizes)), key=lambda layer: -(sizes[layer] * kept % total))
    missing = kept - sum(shares)
    while missing:
        for layer in by_remainder:
            if missing and shares[layer] < ceilings[layer]:
                shares[layer] += 1
                missing -= 1
    return shares
