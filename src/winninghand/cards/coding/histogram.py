"""Symbols coded by their own histogram, which travels in front of them."""

from __future__ import annotations

import numpy as np

from winninghand.base.errors import InputError
from winninghand.cards.coding.formats import Array
from winninghand.cards.coding.streams import StreamReader, StreamWriter, Symbols, Weights

# A count is sent as the nearest third of a power of two: the symbols grow by at most 0.2% of a bit
# each, and the histogram shrinks to a third. Rank 0 is a count of zero.
_STEPS_PER_OCTAVE = 3
_OCTAVE = np.array([1.0, 1.2599210498948732, 1.5874010519681994])
_RANKS = 97


def write_counted(writer: StreamWriter, symbols: Array, alphabet: int) -> None:
    """Code whole numbers in 0 .. alphabet − 1: first, last and counts of those in use, then themselves."""
    if not symbols.size:
        return
    counts = np.bincount(symbols.reshape(-1), minlength=alphabet)
    used = np.flatnonzero(counts)
    first, last = int(used[0]), int(used[-1])
    writer.write_symbols(np.array([first, last]), np.ones(alphabet))
    if first == last:
        return
    ranks = _ranks(counts[first : last + 1])
    steps = np.diff(ranks, prepend=0) % _RANKS
    writer.write_symbols(steps, _step_weights())
    writer.write_symbols(symbols - first, _weights(ranks))


def read_counted(reader: StreamReader, count: int, alphabet: int) -> Symbols:
    """Return the `count` symbols, int32, that `write_counted` wrote for the same alphabet."""
    if not count:
        return np.zeros(0, dtype=np.int32)
    first, last = (int(end) for end in reader.read_symbols(np.ones(alphabet), 2))
    if first > last:
        raise InputError("a histogram in its coded stream is damaged")
    if first == last:
        return np.full(count, first, dtype=np.int32)
    steps = reader.read_symbols(_step_weights(), last - first + 1)
    ranks = np.cumsum(steps, dtype=np.int64) % _RANKS
    return reader.read_symbols(_weights(ranks), count) + np.int32(first)


def _ranks(counts: Array) -> Array:
    """Return counts, int64, as ranks on the logarithmic scale, 0 for none."""
    octaves = np.log2(np.maximum(counts, 1))
    ranks = 1 + np.rint(octaves * _STEPS_PER_OCTAVE).astype(np.int64)
    return np.where(counts > 0, ranks, 0)


def _weights(ranks: Array) -> Weights:
    """Return the counts that ranks stand for."""
    octaves, thirds = np.divmod(np.maximum(ranks, 1) - 1, _STEPS_PER_OCTAVE)
    return np.where(ranks > 0, np.ldexp(_OCTAVE[thirds], octaves), 0.0)


def _step_weights() -> Weights:
    """Return the weights of the differences between neighbouring ranks, modulo their number.

    Neighbours are alike, so a difference of d has weight 0.75 to the |d|.
    """
    falling = np.cumprod(np.full(_RANKS // 2 + 1, 0.75))
    return np.concatenate([falling, falling[:0:-1]])
