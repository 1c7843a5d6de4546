"""The passes over all weights for the CPU, compiled by Numba: one thread, no copies, order of memory.

PyTorch's own masked operations take twenty times as long there, and a step passes over every weight
of a network. All arrays are flat; `bits` are those of float32 numbers. `allowed` may be empty, which
allows everything.
"""

from __future__ import annotations

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
