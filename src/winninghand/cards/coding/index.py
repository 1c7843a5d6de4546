"""The index: which tensors the streams hold, in their order."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from winninghand.base.errors import InputError
from winninghand.cards.coding.formats import DTYPES, FLOATS, Layout
from winninghand.cards.coding.kinds import KINDS
from winninghand.cards.coding.streams import Bytes

# A coded stream can stand for far more weights than it has bytes (a layer of zeros takes one), so a
# reader must bound what it believes: 16 million elements, and 512 more for every byte of the streams.
_FREE_ELEMENTS = 1 << 24
_ELEMENTS_PER_BYTE = 1 << 9
_LONGEST_INDEX = 1 << 22
_MOST_TENSORS = 1 << 16
_MOST_DIMENSIONS = 16


@dataclass(frozen=True)
class Entry:
    """One tensor: its name, how its numbers lie, and the kind it is written as."""

    name: str
    layout: Layout
    kind: str


def pack_index(entries: list[Entry]) -> Bytes:
    """Return the index as deflated JSON: a list of [name, dtype, shape, kind]."""
    rows = [[entry.name, entry.layout.dtype, list(entry.layout.shape), entry.kind] for entry in entries]
    text = json.dumps(rows, separators=(",", ":")).encode()
    if len(text) > _LONGEST_INDEX:
        raise InputError("the tensors' names take more than 4 MiB; shorten them")
    return np.frombuffer(zlib.compress(text, 9), dtype=np.uint8)


def unpack_index(packed: Bytes) -> list[Entry]:
    """Return the entries of an index; `InputError` where it is not one."""
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(packed.tobytes(), _LONGEST_INDEX)
        rows = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise InputError("its index of tensors is damaged") from error
    sound = inflate.eof and not inflate.unused_data and isinstance(rows, list)
    if not sound or len(rows) > _MOST_TENSORS:
        raise InputError("its index of tensors is damaged")
    entries = [_entry(row) for row in rows]
    if len({entry.name for entry in entries}) != len(entries):
        raise InputError("its index names a tensor twice")
    return entries


def check_sizes(entries: list[Entry], stream_bytes: int) -> None:
    """Raise `InputError` where the tensors are larger than streams of that many bytes may stand for."""
    limit = _FREE_ELEMENTS + _ELEMENTS_PER_BYTE * stream_bytes
    total = sum(entry.layout.size for entry in entries)
    if total > limit:
        raise InputError(
            f"{total} weights in {stream_bytes} bytes are beyond the limit of {limit}; keep more of them"
        )


def _entry(row: list[Any]) -> Entry:
    """Return one row of the index, checked."""
    match row:
        case [str(name), str(dtype), [*shape], str(kind)] if _sound(dtype, shape, kind):
            return Entry(name, Layout(dtype, tuple(shape)), kind)
    raise InputError("its index has a row that describes no tensor; the file is damaged")


def _sound(dtype: str, shape: list[Any], kind: str) -> bool:
    """Tell whether a row's type, shape and kind can be had."""
    whole = all(type(length) is int and 0 <= length < 1 << 31 for length in shape)
    coded = kind == "raw" or (kind in KINDS and dtype in FLOATS)
    # An empty tensor may have long sides too, whose product must not overflow.
    small = whole and len(shape) <= _MOST_DIMENSIONS and prod(max(length, 1) for length in shape) < 1 << 40
    return dtype in DTYPES and small and coded
