"""The largest magnitudes, exactly as many as a budget allows, found by selection rather than by a sort."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from winninghand.compression import kernels
from winninghand.compression.kernels import NOTHING, compilable, in_memory


def keep_largest(
    values: Sequence[Tensor],
    budget: int,
    allowed: Sequence[Tensor] | None = None,
    costs: Sequence[int] | None = None,
) -> list[Tensor]:
    """Return for each tensor a bool mask of its largest |values|, as many in all as `budget` pays for.

    What is not `allowed` is never kept; a value of tensor i costs `costs[i]` (1 where None). Values
    are taken from the largest down until one would exceed the budget. Among equals the lower index
    goes first, so that the count is exact and the choice the same on every device.
    """
    costs = [1] * len(values) if costs is None else costs
    if all(compilable(value, *([] if allowed is None else [allowed[i]])) for i, value in enumerate(values)):
        kept, threshold, left = _compiled(values, budget, allowed, costs)
    else:
        kept, threshold, left = _bisected(values, budget, allowed, costs)
    if threshold >= 0 and left > 0:
        _add_ties(values, allowed, costs, kept, threshold, left)
    return kept


def _compiled(
    values: Sequence[Tensor], budget: int, allowed: Sequence[Tensor] | None, costs: Sequence[int]
) -> tuple[list[Tensor], int, int]:
    """Select on the CPU in two counts of 16 bits each: exact for 31 bits of magnitude."""
    flat = [in_memory(value).view(np.uint32) for value in values]
    may = [NOTHING] * len(flat) if allowed is None else [in_memory(mask) for mask in allowed]
    threshold, left, upper = 0, budget, 31
    for lower in (16, 0):
        bins = np.zeros(kernels.BINS, dtype=np.int64)
        for bits, mask, cost in zip(flat, may, costs, strict=True):
            kernels.count(
                bits, mask, cost, np.uint32(upper), np.uint32(threshold >> upper), np.uint32(lower), bins
            )
        from_top = np.cumsum(bins[::-1])
        above = int(np.searchsorted(from_top, left, side="right"))
        if above == kernels.BINS:
            everything = [_all(value, allowed, number) for number, value in enumerate(values)]
            return everything, -1, 0
        left -= int(from_top[above - 1]) if above else 0
        threshold |= (kernels.BINS - 1 - above) << lower
        upper = lower
    kept = [torch.empty_like(value, dtype=torch.bool) for value in values]
    for bits, mask, out in zip(flat, may, kept, strict=True):
        kernels.mark_above(bits, mask, np.uint32(threshold), in_memory(out))
    return kept, threshold, left


def _bisected(
    values: Sequence[Tensor], budget: int, allowed: Sequence[Tensor] | None, costs: Sequence[int]
) -> tuple[list[Tensor], int, int]:
    """Select on any device: the lowest threshold above which the budget pays for everything."""
    keys = [_keys(value, None if allowed is None else allowed[i]) for i, value in enumerate(values)]
    flat = torch.cat([key.reshape(-1) for key in keys])
    sizes = torch.tensor([key.numel() for key in keys], device=flat.device)
    price = torch.tensor(costs, dtype=torch.int32, device=flat.device).repeat_interleave(sizes)
    low = torch.full((), -1, dtype=torch.int64, device=flat.device)
    high = torch.full((), (1 << 31) - 1, dtype=torch.int64, device=flat.device)
    for _ in range(32):
        middle = (low + high).div(2, rounding_mode="floor")
        affordable = (price * (flat > middle)).sum(dtype=torch.int64) <= budget
        low, high = torch.where(affordable, low, middle + 1), torch.where(affordable, middle, high)
    left = budget - int((price * (flat > high)).sum(dtype=torch.int64))
    return [key > high for key in keys], int(high), left


def _keys(value: Tensor, allowed: Tensor | None) -> Tensor:
    """Return magnitudes as whole numbers of the same order, −1 where not allowed."""
    keys = value.detach().float().abs().view(torch.int32)
    return keys if allowed is None else keys.masked_fill(~allowed, -1)


def _all(value: Tensor, allowed: Sequence[Tensor] | None, number: int) -> Tensor:
    if allowed is None:
        return torch.ones_like(value, dtype=torch.bool)
    return allowed[number].clone()


def _add_ties(
    values: Sequence[Tensor],
    allowed: Sequence[Tensor] | None,
    costs: Sequence[int],
    kept: Sequence[Tensor],
    threshold: int,
    left: int,
) -> None:
    """Keep the first of the values at the threshold, as long as the budget pays for them."""
    for number, (value, cost, mask) in enumerate(zip(values, costs, kept, strict=True)):
        ties = (_keys(value, None if allowed is None else allowed[number]) == threshold).nonzero()
        paid = ties[: left // cost]
        mask[paid.unbind(dim=1)] = True
        left -= len(paid) * cost
        if len(paid) < len(ties):
            return
