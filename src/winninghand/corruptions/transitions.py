"""Noise that treats every value alone, as one draw from a table.

Where a stored value's corrupted level depends on that value and chance only, the whole corruption
is a 256 × 256 matrix of probabilities. Each of its rows becomes an alias table (Walker 1977), so
that one 32-bit word per value chooses the corrupted level exactly as the matrix says, up to 2⁻²⁴.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG

LEVELS = 256


def noisy(images: Tensor, table: Tensor, rng: CounterRNG) -> Tensor:
    """Return uint8 (N, H, W, 3): every value replaced by a draw from its row of `table`."""
    words = rng.words(*images.shape[1:])
    column = words.bitwise_and(LEVELS - 1)
    slot = images.int().mul_(LEVELS).bitwise_or_(column)
    entry = table.to(images.device).index_select(0, slot.flatten()).view_as(words)
    # Selecting by bits: a branch on random bits would cost more than all the rest.
    aliased = words.ge(entry).int().neg_()
    return column.bitwise_xor_(column.bitwise_xor(entry).bitwise_and_(aliased)).byte()


def from_cumulative(below: Tensor) -> Tensor:
    """Return the probabilities (256, 256) of levels 0..255 from those of lying below 1..255, (256, 255)."""
    rows = len(below)
    edges = (below.new_zeros(rows, 1), below, below.new_ones(rows, 1))
    return torch.cat(edges, 1).diff(dim=1)


def alias_table(probabilities: Tensor) -> Tensor:
    """Return the alias table of a float64 matrix (256, 256), rows summing to 1, as int32 (65536,).

    The entry at 256 · value + column holds the threshold in its upper 24 bits and the alias in its
    lower 8: a word below it keeps the column's own level, any other takes the alias.
    """
    share, alias = _settled(probabilities.numpy() * LEVELS)
    threshold = np.minimum(np.rint(share.clip(0, 1) * 2**24).astype(np.int64), 2**24 - 1) - 2**23
    return torch.from_numpy((threshold * LEVELS + alias).astype(np.int32).ravel())


def _settled(share: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return what each column keeps of its full share of 1, and the column that gives the rest.

    In all rows at once, one column after the other is filled up by the richest (Vose 1991): the
    poorest that is left, or the last giver where it has become poor itself.
    """
    rows = np.arange(LEVELS)
    order = share.argsort(1)
    alias = np.tile(rows, (LEVELS, 1))
    left = share.copy()
    taken = np.zeros(LEVELS, dtype=np.int64)
    given = np.zeros(LEVELS, dtype=np.int64)
    giver_is_poor = np.zeros(LEVELS, dtype=bool)
    for _ in range(LEVELS - 1):
        poor = np.where(giver_is_poor, order[rows, -given], order[rows, taken])
        taken += ~giver_is_poor
        giver = order[rows, -1 - given]
        alias[rows, poor] = giver
        left[rows, giver] -= 1 - left[rows, poor]
        giver_is_poor = left[rows, giver] < 1
        given += giver_is_poor
    return left, alias
