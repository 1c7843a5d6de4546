"""Noise that treats every value alone, as one draw from a table.

Where a stored value's corrupted level depends on that value and chance only, the whole corruption
is a 256 × 256 matrix of probabilities. Each of its rows becomes an alias table (Walker 1977), so
that one 32-bit word per value chooses the corrupted level exactly as the matrix says, up to 2⁻²⁴.
"""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.randomness import Streams

LEVELS = 256


def noisy(images: Tensor, table: Tensor, streams: Streams) -> Tensor:
    """Return uint8 (N, H, W, 3): every value replaced by a draw from its row of `table`."""
    words = streams.words(*images.shape[1:])
    column = words.bitwise_and(LEVELS - 1)
    slot = images.int().mul_(LEVELS).bitwise_or_(column)
    entry = table.to(images.device).index_select(0, slot.flatten()).view_as(words)
    # Selecting by bits: a branch on random bits would cost more than all the rest.
    aliased = words.ge(entry).int().neg_()
    return column.bitwise_xor_(
        column.bitwise_xor(entry).bitwise_and_(aliased).bitwise_and_(LEVELS - 1)
    ).byte()


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
    share = probabilities * LEVELS
    alias = torch.arange(LEVELS).repeat(len(share), 1)
    settled = torch.zeros_like(share, dtype=torch.bool)
    rows = torch.arange(len(share))
    for _ in range(LEVELS - 1):
        poorest = share.masked_fill(settled, torch.inf).argmin(1)
        richest = share.masked_fill(settled, -torch.inf).argmax(1)
        # The richest column fills the poorest one up to a full share, and keeps what is left.
        share[rows, richest] -= (1 - share[rows, poorest]) * (richest != poorest)
        alias[rows, poorest] = richest
        settled[rows, poorest] = True
    threshold = (share.clamp(0, 1) * 2**24).round().long().clamp_(max=2**24 - 1) - 2**23
    return (threshold * LEVELS + alias).int().flatten()
