"""Random numbers that depend on a name, an index and a position only, never on the batch they are drawn in.

Counter-based: position p of a stream is SplitMix64's output function (Steele, Lea & Flood 2014,
"Fast splittable pseudorandom number generators") at key + p · γ. Plain integer tensors, so the
same words come out on every device, whatever the batch size, the order or the number of threads.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.base.errors import InputError, checked_whole

Indices = npt.NDArray[np.int64] | Tensor | Sequence[int]

LARGEST_START = 2**62
"""So that the indices after it are numbers of 64 bits, too."""

GOLDEN_GAMMA = 0x9E3779B97F4A7C15 - 2**64
MULTIPLIERS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)
SHIFTS = (30, 27, 31)


def image_indices(indices: Indices | None, count: int, start: int) -> Tensor:
    """Return one index per image, int64 (count,) on the CPU: `indices`, or `start` and those after it.

    Raises `InputError` where `indices` are not `count` whole numbers of at least 0, below 2⁶³.
    """
    if indices is None:
        first = checked_whole("start", start, most=LARGEST_START)
        return torch.arange(first, first + count)
    order = _as_tensor(indices)
    if order.shape != (count,) or order.dtype.is_floating_point or order.dtype == torch.bool:
        raise InputError(
            f"indices must be {count} whole numbers, one per image, "
            f"not {order.dtype} of shape {tuple(order.shape)}"
        )
    # Beyond what int64 holds, unsigned numbers turn into negative ones.
    if (order.long() < 0).any():
        raise InputError("indices must be whole numbers of at least 0 and below 2**63")
    return order.long()


def _as_tensor(indices: Indices) -> Tensor:
    try:
        return torch.as_tensor(indices).cpu()
    except (TypeError, ValueError, RuntimeError):
        raise InputError("indices must be whole numbers from 0 to 2**63 - 1, one per image") from None


def seed_of(*parts: int | str) -> int:
    """Return a seed in 0 .. 2⁶³ − 1 that depends on all of `parts`, and on nothing else.

    Every purpose and step of a run has its own, so that no random state is stored to resume it.
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class CounterRNG:
    """One stream of random numbers per index, all of one name.

    `indices` is int64 (N,), on the device the numbers are wanted on. Every method returns
    (N, *shape) and goes on where the last one stopped.
    """

    def __init__(self, name: str, indices: Tensor) -> None:
        self._name, self._indices = name, indices
        self._position = 1

    @cached_property
    def _keys(self) -> Tensor:
        """Each stream's key, int64 (N, 1); made when it is needed, since much that could draw does not."""
        digest = hashlib.sha256(self._name.encode()).digest()
        base = int.from_bytes(digest[:8], "little", signed=True)
        return _mixed(_mixed(self._indices * GOLDEN_GAMMA) + base)[:, None]

    def words(self, *shape: int) -> Tensor:
        """Return uniform 32-bit words as int32, over the type's whole range."""
        count = math.prod(shape)
        pairs = (count + 1) // 2
        positions = torch.arange(self._position, self._position + pairs, device=self._keys.device)
        self._position += pairs
        words = _mixed(self._keys + positions * GOLDEN_GAMMA).view(torch.int32)
        return words[:, :count].reshape(-1, *shape)

    def uniform(self, *shape: int) -> Tensor:
        """Return float32 uniform in [0, 1), multiples of 2⁻²⁴."""
        return self.words(*shape).bitwise_right_shift_(8).add_(2**23).float().mul_(2**-24)

    def integers(self, limit: int | Tensor, *shape: int) -> Tensor:
        """Return int64 uniform in 0 .. limit − 1, for limits up to 2³¹; a tensor's are as `shape` says."""
        return self.words(*shape).long().add_(2**31).mul_(limit).bitwise_right_shift_(32)

    def normal(self, *shape: int, window: tuple[slice, ...] = ()) -> Tensor:
        """Return float32 of the standard normal distribution, by inversion; no value is beyond 6.4.

        Only those within `window`, a slice of each axis of `shape`, where it is given.
        """
        words = self.words(*shape)[(slice(None), *window)]
        middles = words.double().add_(2**31 + 0.5).mul_(2**-32)
        normal: Tensor = torch.special.ndtri(middles)
        return normal.float()


def _mixed(words: Tensor) -> Tensor:
    """Return SplitMix64's output for each int64 word; `words` is overwritten."""
    shifted = torch.empty_like(words)
    for place, shift in enumerate(SHIFTS):
        # Masking the sign's copies makes the arithmetic shift of signed words a logical one.
        torch.bitwise_right_shift(words, shift, out=shifted).bitwise_and_(2 ** (64 - shift) - 1)
        words = words.bitwise_xor_(shifted)
        if place < len(MULTIPLIERS):
            words = words.mul_(MULTIPLIERS[place])
    return words
