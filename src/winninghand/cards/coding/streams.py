"""The two byte streams a set of tensors becomes: entropy-coded symbols, and bytes as they are.

Symbols are coded by `constriction`'s range coder under models given as weights, one per symbol of
the alphabet. A decoder must rebuild the very same weights, so they may come only from whole numbers
and from additions, multiplications and divisions, which IEEE 754 rounds alike on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from constriction import stream

from winninghand.base.errors import InputError
from winninghand.cards.coding.formats import Array

Bytes = npt.NDArray[np.uint8]
Symbols = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float64]

# The last symbols of every coded stream: a decoder that lost its way does not find them.
_SEAL = np.array([0xCA, 0x4D, 0xCA, 0x4D], dtype=np.int32)
_BYTE_WEIGHTS = np.ones(256)


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

    def write_symbols(self, symbols: Array, weights: Weights) -> None:
        """Code whole numbers in 0 .. len(weights) − 1, each at −log2 of its share of the weights."""
        if symbols.size and len(weights) > 1:
            model = stream.model.Categorical(weights, perfect=False)
            self._encoder.encode(np.ascontiguousarray(symbols, dtype=np.int32).reshape(-1), model)

    def write_bytes(self, values: Array) -> None:
        """Append an array's bytes, lowest first, as they are."""
        content = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
        self._bytes.append(content)
        self._byte_count += len(content)

    def finished(self) -> tuple[Bytes, Bytes]:
        """Seal the coded stream and return (coded, raw)."""
        self.write_symbols(_SEAL, _BYTE_WEIGHTS)
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

    def read_symbols(self, weights: Weights, count: int) -> Symbols:
        """Return the next `count` symbols, int32, coded under `weights`."""
        if not count or len(weights) == 1:
            return np.zeros(count, dtype=np.int32)
        try:
            symbols: Symbols = self._decoder.decode(stream.model.Categorical(weights, perfect=False), count)
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
        sealed = np.array_equal(self.read_symbols(_BYTE_WEIGHTS, len(_SEAL)), _SEAL)
        if not sealed or not self._decoder.maybe_exhausted():
            raise InputError("its coded stream does not end where its tensors do")
        if self._position != self._raw.size:
            raise InputError("its raw stream does not end where its tensors do")
