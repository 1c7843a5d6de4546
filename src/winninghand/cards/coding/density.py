"""Truth values at the entropy of their density."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from winninghand.cards.coding.streams import StreamReader, StreamWriter, Weights

Mask = npt.NDArray[np.bool_]

# The odds of a one are sent as one of these levels, eighths of a power of two around even odds; the
# first and the last stand for "none" and "all", after which nothing else needs be sent.
_LEVELS = 256
_EVEN = 128
_STEPS_PER_OCTAVE = 8
_EIGHTHS = np.array(
    [
        1.0,
        1.0905077326652577,
        1.189207115002721,
        1.2968395546510096,
        1.4142135623730951,
        1.5422108254079407,
        1.681792830507429,
        1.8340080864093424,
    ]
)
_ONES = np.array([byte.bit_count() for byte in range(256)])


def write_bits(writer: StreamWriter, mask: Mask) -> None:
    """Code flat truth values under one density, eight to a symbol."""
    level = _level(int(np.count_nonzero(mask)), mask.size)
    writer.write_symbols(np.array([level]), np.ones(_LEVELS))
    if 0 < level < _LEVELS - 1:
        writer.write_symbols(np.packbits(mask), _byte_weights(level))


def read_bits(reader: StreamReader, size: int) -> Mask:
    """Return the `size` truth values that `write_bits` wrote."""
    level = int(reader.read_symbols(np.ones(_LEVELS), 1)[0])
    if level in (0, _LEVELS - 1):
        return np.full(size, level > 0)
    eights = reader.read_symbols(_byte_weights(level), -(-size // 8))
    return np.unpackbits(eights.astype(np.uint8), count=size).view(np.bool_)


def _level(kept: int, size: int) -> int:
    """Return the level nearest to the odds of `kept` ones in `size`."""
    if kept == 0:
        return 0
    if kept == size:
        return _LEVELS - 1
    octaves = np.log2(kept / (size - kept))
    return int(np.clip(_EVEN + np.rint(octaves * _STEPS_PER_OCTAVE), 1, _LEVELS - 2))


@lru_cache(maxsize=_LEVELS)
def _byte_weights(level: int) -> Weights:
    """Return the weight of each pattern of eight: the odds to the power of its ones."""
    octaves, eighths = divmod(level - _EVEN, _STEPS_PER_OCTAVE)
    odds = np.ldexp(_EIGHTHS[eighths], octaves)
    powers = np.cumprod(np.concatenate([[1.0], np.full(8, odds)]))
    return np.asarray(powers[_ONES])
