"""Passes over all weights: the largest magnitudes by selection, masks, gradients of scores.

On the CPU they are compiled by Numba: one thread, no copies, order of memory. PyTorch's own masked
operations take twenty times as long there, and a step passes over every weight of a network. Arrays
are flat; `bits` are those of float32 numbers. `allowed` may be empty, which allows everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.base.compiled import compiled

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

NOTHING = np.empty(0, dtype=np.bool_)
BINS = 1 << 16
_ALL_BUT_SIGN = np.uint32(0x7FFFFFFF)
_LOW = np.uint32(BINS - 1)


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
        bins = np.zeros(BINS, dtype=np.int64)
        for bits, mask, cost in zip(flat, may, costs, strict=True):
            count(bits, mask, cost, np.uint32(upper), np.uint32(threshold >> upper), np.uint32(lower), bins)
        from_top = np.cumsum(bins[::-1])
        above = int(np.searchsorted(from_top, left, side="right"))
        if above == BINS:
            everything = [_all(value, allowed, number) for number, value in enumerate(values)]
            return everything, -1, 0
        left -= int(from_top[above - 1]) if above else 0
        threshold |= (BINS - 1 - above) << lower
        upper = lower
    kept = [torch.empty_like(value, dtype=torch.bool) for value in values]
    for bits, mask, out in zip(flat, may, kept, strict=True):
        mark_above(bits, mask, np.uint32(threshold), in_memory(out))
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


def compilable(*tensors: Tensor) -> bool:
    """Tell whether the compiled passes take these tensors: CPU, float32 or bool, dense, laid out alike."""
    first = tensors[0]
    return all(
        tensor.device.type == "cpu"
        and tensor.dtype in (torch.float32, torch.bool)
        and _strides(tensor) == _strides(first)
        and (tensor.is_contiguous() or _channels_last(tensor))
        for tensor in tensors
    )


def in_memory(tensor: Tensor) -> npt.NDArray[Any]:
    """Return a flat view of a tensor that is `compilable`."""
    plain = tensor.detach()
    return (plain if plain.is_contiguous() else plain.movedim(1, -1)).view(-1).numpy()


def _strides(tensor: Tensor) -> list[int]:
    """Return the strides that matter: those of dimensions of length 1 are whatever they happen to be."""
    return [stride for stride, length in zip(tensor.stride(), tensor.shape, strict=True) if length > 1]


def _channels_last(tensor: Tensor) -> bool:
    return tensor.ndim > 2 and tensor.movedim(1, -1).is_contiguous()


@compiled
def count(
    bits: Bits, allowed: Bools, cost: int, upper: np.uint32, prefix: np.uint32, lower: np.uint32, bins: Counts
) -> None:
    """Add `cost` to the bin of each number whose magnitude's bits from `upper` on are `prefix`.

    The bin is the 16 bits from `lower` on. The bits of magnitudes are in the order of magnitudes.
    """
    everything = allowed.size == 0
    for place in range(bits.size):
        key = bits[place] & _ALL_BUT_SIGN
        if key >> upper == prefix and (everything or allowed[place]):
            bins[(key >> lower) & _LOW] += cost


@compiled
def mark_above(bits: Bits, allowed: Bools, threshold: np.uint32, kept: Bools) -> None:
    """Set `kept` where the bits of a magnitude are above `threshold` and it is allowed."""
    everything = allowed.size == 0
    for place in range(bits.size):
        kept[place] = (bits[place] & _ALL_BUT_SIGN) > threshold and (everything or allowed[place])


@compiled
def set_to_zero(weights: Floats, pruned: Bools) -> None:
    """Set pruned weights to +0."""
    for place in range(weights.size):
        if pruned[place]:
            weights[place] = 0


@compiled
def mean_magnitude(weights: Floats, kept: Bools) -> float:
    """Return the mean |w| of what is kept, 0 where nothing is."""
    total, number = 0.0, 0
    for place in range(weights.size):
        if kept[place]:
            total += abs(weights[place])
            number += 1
    return total / max(number, 1)


@compiled
def masked(weights: Floats, kept: Bools, binary: bool, magnitude: np.float32, out: Floats) -> None:
    """Fill `out` with the weights, or their signs times `magnitude`, where they are kept, and 0 elsewhere."""
    for place in range(weights.size):
        weight = weights[place]
        value = np.copysign(magnitude, weight) if binary else weight
        out[place] = value if kept[place] else np.float32(0)


@compiled
def score_gradient(
    gradient: Floats, weights: Floats, scores: Floats, binary: bool, magnitude: np.float32, out: Floats
) -> None:
    """Fill `out` with the gradient of the scores: gradient times weight times the sign of the score."""
    for place in range(weights.size):
        weight = weights[place]
        value = np.copysign(magnitude, weight) if binary else weight
        product = gradient[place] * value
        out[place] = product if scores[place] >= 0 else -product
