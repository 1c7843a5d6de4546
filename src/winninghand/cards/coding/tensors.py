"""Named tensors to three byte streams and back, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from winninghand.base.errors import InputError
from winninghand.cards.coding.formats import Content, content_of, tensor_of
from winninghand.cards.coding.index import Entry, check_sizes, pack_index, unpack_index
from winninghand.cards.coding.kinds import KINDS
from winninghand.cards.coding.streams import StreamReader, StreamWriter

STREAMS = ("index", "coded", "raw")


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
        KINDS[kind].write(writer, content)
        entries.append(Entry(name, content.layout, kind))
    coded, raw = writer.finished()
    check_sizes(entries, coded.size + raw.size)
    streams = zip(STREAMS, (pack_index(entries), coded, raw), strict=True)
    return {name: torch.from_numpy(stream.copy()) for name, stream in streams}


def decode_tensors(streams: Mapping[str, torch.Tensor]) -> Decoded:
    """Return what `encode_tensors` was given.

    Raises `InputError` where the streams are damaged, and before anything is allocated where their
    index declares more than such streams may stand for.
    """
    if not streams.keys() >= set(STREAMS):
        raise InputError(f"it lacks a stream of {', '.join(STREAMS)}")
    index, coded, raw = (streams[name].numpy() for name in STREAMS)
    entries = unpack_index(index)
    check_sizes(entries, coded.size + raw.size)
    reader = StreamReader(coded, raw)
    decoded = Decoded({}, {})
    for entry in entries:
        content = KINDS[entry.kind].read(reader, entry.layout)
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
    return scaled if KINDS["levels"].fits(scaled) else content


def _shortest(content: Content) -> str:
    """Return the name of the kind that takes the fewest bits; levels where there are scales to keep."""
    if content.scales is not None:
        return "levels"
    lengths = {}
    for name, kind in KINDS.items():
        if kind.fits(content):
            trial = StreamWriter()
            kind.write(trial, content)
            lengths[name] = trial.bits
    return min(lengths, key=lambda name: (lengths[name], name))
