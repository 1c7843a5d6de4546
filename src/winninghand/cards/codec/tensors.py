"""Named tensors to three byte streams and back, exactly: `index`, `coded` and `raw`."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch

from winninghand.base.errors import InputError
from winninghand.cards.codec.encodings import (
    BLOCKED,
    DTYPES,
    ENCODINGS,
    FLOATS,
    Content,
    Layout,
    content_of,
    tensor_of,
)
from winninghand.cards.codec.streams import Bytes, StreamReader, StreamWriter

STREAMS = ("index", "coded", "raw")

# A coded stream can stand for far more weights than it has bytes (a layer of zeros takes one), so a
# reader must bound what it believes: 16 million elements, and 512 more for every byte of the streams.
_FREE_ELEMENTS = 1 << 24
_ELEMENTS_PER_BYTE = 1 << 9
_LONGEST_INDEX = 1 << 22
_MOST_TENSORS = 1 << 14
_MOST_DIMENSIONS = 16


@dataclass(frozen=True)
class Decoded:
    """Tensors by name, and for those made of whole levels the float32 scale of each output channel."""

    tensors: dict[str, torch.Tensor]
    scales: dict[str, torch.Tensor]


def encode_tensors(
    tensors: Mapping[str, torch.Tensor], scales: Mapping[str, torch.Tensor] | None = None
) -> dict[str, torch.Tensor]:
    """Return the streams `index`, `coded` and `raw`, each a flat uint8 tensor.

    Every tensor is written in the shortest of the ways that bring back its very bits. `scales[name]`,
    float32 (output channels,), says that the tensor is whole levels −127 .. 127 times a scale per
    output channel; a tensor for which that is not exact is written as floats, without its scales.
    Raises `InputError` for a number format other than the floats of 16 to 64 bits, the whole numbers
    and bool.
    """
    writer = StreamWriter()
    entries = []
    for name, tensor in tensors.items():
        content = scaled_content(name, tensor, scales)
        kind = _shortest(content)
        ENCODINGS[kind].write(writer, content)
        entries.append(Entry(name, content.layout, kind))
    coded, raw = writer.finished()
    _check_sizes(entries, coded.size + raw.size)
    streams = zip(STREAMS, (_pack_index(entries), coded, raw), strict=True)
    return {name: torch.from_numpy(stream.copy()) for name, stream in streams}


def read_index(streams: Mapping[str, torch.Tensor]) -> list[Entry]:
    """Return what the streams hold, without a look at the values; `InputError` where the index is damaged."""
    if not streams.keys() >= set(STREAMS):
        raise InputError(f"it lacks a stream of {', '.join(STREAMS)}")
    return unpack_index(streams["index"].numpy())


def uses_blocks(index: torch.Tensor) -> bool:
    """Tell whether a stream is an index that names a kind which writes masks by blocks."""
    try:
        return any(entry.kind in BLOCKED for entry in unpack_index(index.numpy()))
    except InputError:
        return False


def check_file(parts: Iterable[Mapping[str, torch.Tensor]]) -> None:
    """Raise `InputError` where all tensors of a file together are larger than its streams may stand for.

    `parts` are the streams of each of its cards.
    """
    entries, stream_bytes = [], 0
    for streams in parts:
        entries += read_index(streams)
        if len(entries) > _MOST_TENSORS:
            raise InputError(f"it holds more than {_MOST_TENSORS} tensors")
        stream_bytes += streams["coded"].numel() + streams["raw"].numel()
    _check_sizes(entries, stream_bytes)


def decode_tensors(streams: Mapping[str, torch.Tensor], entries: list[Entry] | None = None) -> Decoded:
    """Return what `encode_tensors` was given; `entries` are those of the index where it was read already.

    Raises `InputError` where the streams are damaged, and before anything is allocated where their
    index declares more than such streams may stand for.
    """
    entries = read_index(streams) if entries is None else entries
    coded, raw = (streams[name].numpy() for name in STREAMS[1:])
    _check_sizes(entries, coded.size + raw.size)
    reader = StreamReader(coded, raw)
    decoded = Decoded({}, {})
    for entry in entries:
        content = ENCODINGS[entry.kind].read(reader, entry.layout)
        decoded.tensors[entry.name] = tensor_of(content)
        if content.scales is not None:
            decoded.scales[entry.name] = torch.from_numpy(content.scales)
    reader.finish()
    return decoded


def scaled_content(name: str, tensor: torch.Tensor, scales: Mapping[str, torch.Tensor] | None) -> Content:
    """Return a tensor's bits, with its scales where it is exactly levels times scales."""
    content = content_of(name, tensor)
    if scales is None or name not in scales:
        return content
    scaled = replace(content, scales=scales[name].detach().cpu().float().numpy())
    return scaled if ENCODINGS["levels"].fits(scaled) else content


def _shortest(content: Content) -> str:
    """Return the name of the kind that takes the fewest bits; with scales to keep, one of levels."""
    lengths = {}
    for name, kind in ENCODINGS.items():
        if (content.scales is None or name.endswith("levels")) and kind.fits(content):
            trial = StreamWriter()
            kind.write(trial, content)
            lengths[name] = trial.bits
    return min(lengths, key=lambda name: (lengths[name], name in BLOCKED, name))


@dataclass(frozen=True)
class Entry:
    """One tensor: its name, how its numbers lie, and the kind it is written as."""

    name: str
    layout: Layout
    kind: str


def _pack_index(entries: list[Entry]) -> Bytes:
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


def _check_sizes(entries: list[Entry], stream_bytes: int) -> None:
    """Raise `InputError` where the tensors are larger than streams of that many bytes may stand for."""
    limit = _FREE_ELEMENTS + _ELEMENTS_PER_BYTE * stream_bytes
    # Long sides take memory even where another side is empty.
    total = sum(prod(max(length, 1) for length in entry.layout.shape) for entry in entries)
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
    coded = kind == "raw" or (kind in ENCODINGS and dtype in FLOATS)
    # An empty tensor may have long sides too, whose product must not overflow.
    small = whole and len(shape) <= _MOST_DIMENSIONS and prod(max(length, 1) for length in shape) < 1 << 40
    return dtype in DTYPES and small and coded
