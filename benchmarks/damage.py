"""Ways to damage a card file: each takes a whole file, another one, and chance, and returns bytes."""

from __future__ import annotations

import json
import random
import tempfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from winninghand.cards.container import read_streams, safetensors_of

Damage = Callable[[bytes, bytes, random.Random], bytes]


def flipped_bit(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Flip one bit."""
    return _with_flips(whole, 1, chance)


def flipped_bits(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Flip 2 to 64 bits."""
    return _with_flips(whole, chance.randint(2, 64), chance)


def flipped_header_bit(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Flip one bit of the header."""
    end = _header_end(whole)
    return _with_flips(whole[:end], 1, chance) + whole[end:]


def truncated(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Cut the end off."""
    return whole[: chance.randrange(len(whole))]


def lengthened(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Append up to 64 bytes."""
    return whole + chance.randbytes(chance.randint(1, 64))


def overwritten(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Put random bytes, or zeros, over a run of up to 256."""
    start, end = _run(whole, chance)
    run = chance.randbytes(end - start) if chance.random() < 0.5 else bytes(end - start)
    return whole[:start] + run + whole[end:]


def cut_out(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Leave out a run of up to 256 bytes."""
    start, end = _run(whole, chance)
    return whole[:start] + whole[end:]


def moved(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Put a run of up to 256 bytes over another place."""
    start, end = _run(whole, chance)
    target = chance.randrange(len(whole) - (end - start) + 1)
    return whole[:target] + whole[start:end] + whole[target + end - start :]


def spliced_header(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Put the other file's header before this one's streams, or join both files at any place."""
    if chance.random() < 0.2:
        return other[: _header_end(other)] + whole[_header_end(whole) :]
    joined = whole
    while joined in (whole, other):
        place = chance.randrange(1, min(len(whole), len(other)))
        joined = other[:place] + whole[place:]
    return joined


def header_length(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Announce another length of the header."""
    return chance.randrange(1 << chance.randint(1, 64)).to_bytes(8, "little") + whole[8:]


def oversized_stream(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Declare a stream larger in the safetensors header."""
    end = _header_end(whole)
    header = json.loads(whole[8:end])
    place = header[chance.choice([name for name in header if name != "__metadata__"])]
    length = chance.randrange(1 << chance.randint(1, 63))
    place["shape"] = [length]
    if chance.random() < 0.5:
        place["data_offsets"][1] = place["data_offsets"][0] + length
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + whole[end:]


def oversized_tensor(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Declare a tensor larger in the index, with right checksums, as a stranger would."""

    def enlarge(rows: list[list[object]]) -> None:
        shape = chance.choice(rows)[2]
        assert isinstance(shape, list)
        factor = 2 + chance.randrange(1 << chance.randint(1, 40))
        if shape:
            shape[chance.randrange(len(shape))] *= factor
        else:
            shape.append(factor)

    return _reindexed(whole, enlarge, chance)


DAMAGES: tuple[Damage, ...] = (
    flipped_bit,
    flipped_bits,
    flipped_header_bit,
    truncated,
    lengthened,
    overwritten,
    cut_out,
    moved,
    spliced_header,
    header_length,
    oversized_stream,
    oversized_tensor,
)


def _header_end(whole: bytes) -> int:
    return 8 + int.from_bytes(whole[:8], "little")


def _with_flips(content: bytes, count: int, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(count):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _run(whole: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(whole))
    return start, min(len(whole), start + chance.randint(1, 256))


def _reindexed(whole: bytes, change: Callable[[list[list[object]]], None], chance: random.Random) -> bytes:
    """Return the file with one index changed and all checksums made right again."""
    header, streams = _read(whole)
    name = chance.choice([name for name in streams if name.endswith("index")])
    rows = json.loads(zlib.decompress(streams[name].numpy().tobytes()))
    change(rows)
    packed = zlib.compress(json.dumps(rows).encode())
    return safetensors_of(header, {**streams, name: torch.frombuffer(bytearray(packed), dtype=torch.uint8)})


@lru_cache
def _read(whole: bytes) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return header and streams of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.card"
        path.write_bytes(whole)
        return read_streams(path)
