"""How many weights each layer may keep when a budget is spent layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor, prod
from typing import Literal

Distribution = Literal["uniform", "erk"]
Shape = tuple[int, ...]


def layer_shares(
    shapes: Sequence[Shape], kept: int, distribution: Distribution, ceilings: Sequence[int]
) -> list[int]:
    """Share `kept` weights among layers, by largest remainder of their quotas.

    The shares sum to `kept`, which must not exceed the sum of the ceilings, and no layer gets more
    than its ceiling. Where no ceiling binds, each share is within one of its exact quota.
    """
    quotas = _uniform(shapes, kept) if distribution == "uniform" else _erdos_renyi_kernel(shapes, kept)
    shares = [min(floor(quota), ceiling) for quota, ceiling in zip(quotas, ceilings, strict=True)]
    by_remainder = sorted(range(len(quotas)), key=lambda layer: floor(quotas[layer]) - quotas[layer])
    missing = kept - sum(shares)
    while missing:
        for layer in by_remainder:
            if missing and shares[layer] < ceilings[layer]:
                shares[layer] += 1
                missing -= 1
    return shares


def _uniform(shapes: Sequence[Shape], kept: int) -> list[Fraction]:
    """Give every layer the same density."""
    sizes = [prod(shape) for shape in shapes]
    return [Fraction(size * kept, sum(sizes)) for size in sizes]


def _erdos_renyi_kernel(shapes: Sequence[Shape], kept: int) -> list[Fraction]:
    """Give a layer weights in proportion to the sum of its dimensions, up to all of its weights.

    Erdős–Rényi-kernel (Evci et al. 2020, arXiv:1911.11134, section 3): the density is
    (inputs + outputs + kernel height + kernel width) over their product, so that small layers
    keep more. What a full layer cannot take goes to the others.
    """
    full: set[int] = set()
    while True:
        rest = [layer for layer in range(len(shapes)) if layer not in full]
        left = kept - sum(prod(shapes[layer]) for layer in full)
        total = sum(sum(shapes[layer]) for layer in rest)
        quotas = {layer: Fraction(sum(shapes[layer]) * left, total) for layer in rest}
        overfull = {layer for layer, quota in quotas.items() if quota > prod(shapes[layer])}
        if not overfull:
            return [quotas.get(layer, Fraction(prod(shape))) for layer, shape in enumerate(shapes)]
        full |= overfull
