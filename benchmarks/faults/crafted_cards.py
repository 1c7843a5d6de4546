"""Cards and decks that a stranger would write: changed inside, with checksums made right again."""

from __future__ import annotations

import json
import random
import tempfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.faults.crafted import odd_json
from benchmarks.faults.damage import DAMAGES
from winninghand.cards.container import _checksum, read_streams, safetensors_of
from winninghand.decks.file import shared_streams


def header_of_a_card(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change what a card's or deck's header says."""
    header, streams = _read(whole)
    return _file(odd_json(header, chance), streams)


def index_of_a_card(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change what an index of tensors says: names, kinds, shapes."""
    header, streams = _read(whole)
    name = chance.choice([name for name in streams if name.endswith("index")])
    rows = json.loads(zlib.decompress(streams[name].numpy().tobytes()))
    packed = zlib.compress(json.dumps(odd_json(rows, chance)).encode())
    return _file(header, {**streams, name: _stream(packed)})


def stream_of_a_card(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Damage a coded stream, leave it out, or take the other file's."""
    header, streams = _read(whole)
    name = chance.choice(list(streams))
    content = streams[name].numpy().tobytes()
    match chance.randrange(6):
        case 0:
            return _file(header, {key: streams[key] for key in streams if key != name})
        case 1:
            return _file(header, streams | {name: _read(other)[1].get(name, streams[name])})
        case 2:
            return _file(header, streams | {name: _stream(b"")})
    damaged = chance.choice(DAMAGES)(content, content[::-1], chance) if len(content) > 1 else b"\0"
    return _file(header, streams | {name: _stream(damaged)})


def metadata_of_a_card(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change what the metadata say, with the right checksum: which streams there are, which are the same."""
    end = 8 + int.from_bytes(whole[:8], "little")
    table = json.loads(whole[8:end])
    metadata = json.loads(table["__metadata__"]["winninghand"])
    part = chance.choice([key for key in ("same", "streams", "header", "schema") if key in metadata])
    metadata[part] = odd_json(metadata[part], chance)
    metadata["checksum"] = _checksum(metadata)
    table["__metadata__"]["winninghand"] = json.dumps(metadata)
    text = json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + whole[end:]


def container_of_a_card(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change the header of the safetensors container: lengths, types, offsets."""
    end = 8 + int.from_bytes(whole[:8], "little")
    if chance.random() < 0.2:
        return chance.randrange(1 << chance.randint(1, 64)).to_bytes(8, "little") + whole[8:]
    if chance.random() < 0.2:
        return other[: 8 + int.from_bytes(other[:8], "little")] + whole[end:]
    text = json.dumps(odd_json(json.loads(whole[8:end]), chance)).encode()
    return len(text).to_bytes(8, "little") + text + whole[end:]


def _file(header: Any, streams: dict[str, torch.Tensor]) -> bytes:  # noqa: ANN401 (JSON)
    """Write a file as its writer would, streams of a body once."""
    return safetensors_of(header, streams, shared_streams(streams))


def _stream(content: bytes) -> torch.Tensor:
    return (
        torch.frombuffer(bytearray(content), dtype=torch.uint8)
        if content
        else torch.empty(0, dtype=torch.uint8)
    )


@lru_cache
def _read(whole: bytes) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return header and streams of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.card"
        path.write_bytes(whole)
        return read_streams(path)
