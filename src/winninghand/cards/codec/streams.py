"""The two byte streams that a set of tensors becomes: entropy-coded symbols, and bytes as they are.

`constriction`'s range coder codes symbols under models. A model is given as unnormalised
frequencies, one per symbol of the alphabet. A decoder must rebuild the very same frequencies, so
they come only from whole numbers and from additions, multiplications and divisions, which IEEE 754
rounds alike on every machine. Symbols may bring their own histogram, truth values their density.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from constriction import stream

from winninghand.base.errors import InputError

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Symbols = npt.NDArray[np.int32]
Frequencies = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# The last symbols of every coded stream: a decoder that lost its way does not find them.
_SEAL = np.array([0xCA, 0x4D, 0xCA, 0x4D], dtype=np.int32)
_EVEN_BYTES = np.ones(256)


class StreamWriter:
    """Appends symbols and bytes; `finished` gives both streams."""

    def __init__(self) -> None:
        self._encoder = stream.queue.RangeEncoder()
        self._bytes: list[bytes] = []
        self._byte_count = 0

    @property
    def bits(self) -> int:
        """Length of both streams so far, rounded up to the coder's words of 32 bits."""
        return int(self._encoder.num_bits()) + 8 * self._byte_count

    def write_symbols(self, symbols: Array, frequencies: Frequencies) -> None:
        """Code whole numbers in 0 .. len(frequencies) − 1, each at −log2 of its share of the frequencies."""
        if symbols.size and len(frequencies) > 1:
            model = stream.model.Categorical(frequencies, perfect=False)
            self._encoder.encode(np.ascontiguousarray(symbols, dtype=np.int32).reshape(-1), model)

    def write_bytes(self, values: Array) -> None:
        """Append an array's bytes, lowest first, as they are."""
        content = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
        self._bytes.append(content)
        self._byte_count += len(content)

    def finished(self) -> tuple[Bytes, Bytes]:
        """Seal the coded stream and return (coded, raw)."""
        self.write_symbols(_SEAL, _EVEN_BYTES)
        coded = np.asarray(self._encoder.get_compressed(), dtype="<u4").view(np.uint8)
        return coded, np.frombuffer(b"".join(self._bytes), dtype=np.uint8)


class StreamReader:
    """Reads back what a `StreamWriter` wrote, in the same order; `InputError` where it cannot."""

    def __init__(self, coded: Bytes, raw: Bytes) -> None:
        if coded.size % 4:
            raise InputError("its coded stream is not a whole number of 32-bit words")
        self._decoder = stream.queue.RangeDecoder(np.ascontiguousarray(coded).view("<u4").astype(np.uint32))
        self._raw = raw
        self._position = 0

    def read_symbols(self, frequencies: Frequencies, count: int) -> Symbols:
        """Return the next `count` symbols, int32, coded under `frequencies`."""
        if not count or len(frequencies) == 1:
            return np.zeros(count, dtype=np.int32)
        try:
            symbols: Symbols = self._decoder.decode(
                stream.model.Categorical(frequencies, perfect=False), count
            )
        except (AssertionError, ValueError) as error:
            raise InputError("its coded stream is damaged") from error
        return symbols

    def read_bytes(self, count: int, dtype: str) -> Array:
        """Return the next `count` items of NumPy type `dtype`, in the machine's own byte order."""
        little = np.dtype(dtype).newbyteorder("<")
        end = self._position + count * little.itemsize
        if end > self._raw.size:
            raise InputError("its raw stream is too short")
        content = self._raw[self._position : end].tobytes()
        self._position = end
        return np.frombuffer(content, dtype=little).astype(dtype)

    def finish(self) -> None:
        """Check that both streams end here."""
        sealed = np.array_equal(self.read_symbols(_EVEN_BYTES, len(_SEAL)), _SEAL)
        if not sealed or not self._decoder.maybe_exhausted():
            raise InputError("its coded stream does not end where its tensors do")
        if self._position != self._raw.size:
            raise InputError("its raw stream does not end where its tensors do")


# A count is sent as a rank, the nearest third of a power of two; rank 0 is a count of zero. A symbol
# grows by at most 0.2% of a bit, and the histogram shrinks to a third.
_THIRDS = 3
_THIRD_POWERS = np.array([1.0, 1.2599210498948732, 1.5874010519681994])
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
    writer.write_symbols(steps, _step_frequencies())
    writer.write_symbols(symbols - first, _rank_frequencies(ranks))


def read_counted(reader: StreamReader, count: int, alphabet: int) -> Symbols:
    """Return the `count` symbols, int32, that `write_counted` wrote for the same alphabet."""
    if not count:
        return np.zeros(0, dtype=np.int32)
    first, last = (int(end) for end in reader.read_symbols(np.ones(alphabet), 2))
    if first > last:
        raise InputError("a histogram in its coded stream is damaged")
    if first == last:
        return np.full(count, first, dtype=np.int32)
    steps = reader.read_symbols(_step_frequencies(), last - first + 1)
    ranks = np.cumsum(steps, dtype=np.int64) % _RANKS
    return reader.read_symbols(_rank_frequencies(ranks), count) + np.int32(first)


def _ranks(counts: Array) -> Array:
    """Return counts, int64, as ranks on the logarithmic scale, 0 for none."""
    octaves = np.log2(np.maximum(counts, 1))
    ranks = 1 + np.rint(octaves * _THIRDS).astype(np.int64)
    return np.where(counts > 0, ranks, 0)


def _rank_frequencies(ranks: Array) -> Frequencies:
    """Return the counts that ranks stand for."""
    octaves, thirds = np.divmod(np.maximum(ranks, 1) - 1, _THIRDS)
    return np.where(ranks > 0, np.ldexp(_THIRD_POWERS[thirds], octaves), 0.0)


def _step_frequencies() -> Frequencies:
    """Return the frequencies of the differences between neighbouring ranks, modulo their number.

    Neighbours are alike, so a difference of d has the frequency 0.75 to the |d|.
    """
    falling = np.cumprod(np.full(_RANKS // 2 + 1, 0.75))
    return np.concatenate([falling, falling[:0:-1]])


# A density is sent as one of 256 levels of the odds of a one: eighths of a power of two around even
# odds. The first stands for "none" and the last for "all"; nothing needs to follow them.
_DENSITIES = 256
_EVEN_ODDS = 128
_EIGHTHS_PER_OCTAVE = 8
_EIGHTH_POWERS = np.array(
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
    writer.write_symbols(np.array([level]), np.ones(_DENSITIES))
    if 0 < level < _DENSITIES - 1:
        writer.write_symbols(np.packbits(mask), _byte_frequencies(level))


def read_bits(reader: StreamReader, size: int) -> Mask:
    """Return the `size` truth values that `write_bits` wrote."""
    level = int(reader.read_symbols(np.ones(_DENSITIES), 1)[0])
    if level in (0, _DENSITIES - 1):
        return np.full(size, level > 0)
    eights = reader.read_symbols(_byte_frequencies(level), -(-size // 8))
    return np.unpackbits(eights.astype(np.uint8), count=size).view(np.bool_)


def _level(kept: int, size: int) -> int:
    """Return the level nearest to the odds of `kept` ones in `size`."""
    if kept == 0:
        return 0
    if kept == size:
        return _DENSITIES - 1
    octaves = np.log2(kept / (size - kept))
    return int(np.clip(_EVEN_ODDS + np.rint(octaves * _EIGHTHS_PER_OCTAVE), 1, _DENSITIES - 2))


@lru_cache(maxsize=_DENSITIES)
def _byte_frequencies(level: int) -> Frequencies:
    """Return the frequency of each pattern of eight: the odds to the power of its ones."""
    octaves, eighths = divmod(level - _EVEN_ODDS, _EIGHTHS_PER_OCTAVE)
    odds = np.ldexp(_EIGHTH_POWERS[eighths], octaves)
    powers = np.cumprod(np.concatenate([[1.0], np.full(8, odds)]))
    return np.asarray(powers[_ONES])
