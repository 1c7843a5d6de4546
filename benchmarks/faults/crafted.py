"""What a stranger would write: files changed where they mean something, checksums made right again."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
import zlib
from typing import Any

from benchmarks.faults.damage import DAMAGES

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    2,
    7,
    0.5,
    -0.0,
    1e-300,
    1e308,
    2**31 - 1,
    2**31,
    2**63,
    -(2**63),
    10**30,
    "",
    "a",
    "../../../evil",
    "\x1b[2K\n\u202e",
    "x" * 100_000,
    [],
    [0] * 100_000,
    {},
    {"name": "resnet18", "width": 4096},
    [[[[[[]]]]]],
)


def odd_json(value: Any, chance: random.Random) -> Any:  # noqa: ANN401 (JSON)
    """Return a JSON value with one to three of its parts replaced, left out, repeated or renamed."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return _odd(chance)
        holder, key = chance.choice(places)
        match chance.randrange(8):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 1:
                holder[chance.choice(("name", "", "extra", str(key).upper()))] = copy.deepcopy(holder[key])
            case 2:
                other, place = chance.choice(places)
                holder[key] = copy.deepcopy(other[place]) if _holds(other, place) else None
            case 3 if isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
                holder[key] = holder[key] * chance.choice(
                    (-1, 2, 1 << chance.randrange(1, 62))
                ) + chance.choice((0, 1, -1))
            case 4 if isinstance(holder[key], list):
                holder[key] = (
                    holder[key] * chance.choice((2, 3)) if chance.random() < 0.7 else holder[key][::-1]
                )
            case _:
                holder[key] = _odd(chance)
    return value


def _odd(chance: random.Random) -> Any:  # noqa: ANN401 (JSON)
    """Return an odd value of its own, which may be changed further."""
    return copy.deepcopy(chance.choice(ODD))


def _places(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """Yield every part of a JSON value as the list or table that holds it, and its place there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in list(items)[:200]:
        yield value, key
        yield from _places(part)


def _holds(holder: Any, key: Any) -> bool:  # noqa: ANN401 (JSON)
    return key in holder if isinstance(holder, dict) else key < len(holder)


def of_json(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change a JSON file, and leave out the digest that would find that; Python writes NaN and infinities."""
    table = json.loads(whole)
    table.pop("digest", None)
    return json.dumps(odd_json(table, chance)).encode()


def of_toml(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change values of a TOML file, leave out lines, or repeat them."""
    lines = whole.decode().splitlines()
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(lines))
        key, equals, _ = lines[place].partition("=")
        match chance.randrange(5):
            case 0:
                lines.insert(place, chance.choice(lines))
            case 1:
                lines[place] = ""
            case _ if equals:
                odd = chance.choice(
                    (*ODD, "nan", "inf", "-inf", "[" * 900 + "]" * 900, "9" * 5000, 1e-7, 10**8)
                )
                bare = isinstance(odd, str) and odd[:1] in "ni-[9" and odd
                lines[place] = f"{key}= {odd if bare else _toml(odd)}"
    return "\n".join(lines).encode("utf-8", "replace")


def _toml(value: Any) -> str:  # noqa: ANN401 (TOML)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return "nan" if value is None else json.dumps(value)


def zip_entry(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Damage an entry of a zip file (an npz file, a checkpoint), with the right checksum, or leave it out."""
    entries = _entries(whole)
    name = chance.choice(list(entries))
    match chance.randrange(6):
        case 0:
            del entries[name]
        case 1:
            entries[name] = chance.choice(list(entries.values()))
        case 2:
            entries[chance.choice(("extra.npy", "../evil", name.upper()))] = entries[name]
        case 3 if entries[name].startswith(b"\x93NUMPY"):
            entries[name] = npy_header(entries[name], b"", chance)
        case _:
            entries[name] = _damaged(entries[name], chance)
    return _zipped(entries, chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def npy_header(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Say another shape, type or order of an npy array."""
    end = 10 + int.from_bytes(whole[8:10], "little")
    text = whole[10:end].decode("latin-1")
    old, new = chance.choice(
        [
            ("(", f"({chance.choice((0, 1, -1, 2**31, 2**63, 10**30))}, "),
            ("|u1", chance.choice(("|O", "|S1", "<f8", ">i8", "|b1", "<M8[s]", "|V4", "u1,u1", "nope"))),
            ("<i8", chance.choice(("|O", "|u1", "<f8", ">i8", "<c16", "<U4"))),
            ("False", chance.choice(("True", "1", "[]", "None"))),
            ("'shape'", "'shape': (1,), 'shape'"),
            ("}", "'x': " + "(" * 400 + ")" * 400 + "}"),
        ]
    )
    changed = text.replace(old, new, 1).encode("latin-1")
    return whole[:8] + len(changed).to_bytes(2, "little") + changed + whole[end:]


def png_chunk(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change a chunk of a PNG, its size fields first, with the right checksum; or add one."""
    if not whole.startswith(b"\x89PNG"):
        return chance.choice(DAMAGES)(whole, other, chance)
    chunks, place = [], 8
    while place < len(whole):
        length = int.from_bytes(whole[place : place + 4], "big")
        chunks.append((whole[place + 4 : place + 8], whole[place + 8 : place + 8 + length]))
        place += length + 12
    match chance.randrange(4):
        case 0:
            sizes = (0, 1, 7, 100, 20_000, 2**16, 2**31 - 1, 2**32 - 1)
            chunks[0] = (
                b"IHDR",
                struct.pack(">II", chance.choice(sizes), chance.choice(sizes)) + chunks[0][1][8:],
            )
        case 1:
            head = chunks[0][1]
            chunks[0] = (
                b"IHDR",
                head[:8] + bytes(chance.choice((0, 1, 2, 3, 4, 6, 8, 16, 255)) for _ in head[8:]),
            )
        case 2:
            kind = chance.choice(
                (b"iTXt", b"eXIf", b"zTXt", b"acTL", b"PLTE", b"tRNS", b"IHDR", b"fcTL", b"iCCP")
            )
            chunks.insert(chance.randrange(1, len(chunks)), (kind, chance.randbytes(chance.randrange(64))))
        case _:
            number = chance.randrange(len(chunks))
            chunks[number] = (chunks[number][0], _damaged(chunks[number][1], chance))
    return whole[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _damaged(content: bytes, chance: random.Random) -> bytes:
    return chance.choice(DAMAGES)(content, content[::-1], chance) if len(content) > 1 else chance.randbytes(8)


def _entries(whole: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(entries: dict[str, bytes], how: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def tar_header(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change a header of a tar file, a field of it or a few bytes, and make its checksum right."""
    content = bytearray(whole)
    start = chance.randrange(len(content) // 512) * 512
    header = content[start : start + 512]
    match chance.randrange(4):
        case 0:  # name
            header[:100] = chance.choice((b"../../evil.png", b"/etc/evil.cls", b"\xff\x1b.png", b"")).ljust(
                100, b"\0"
            )
        case 1:  # size
            sizes = (
                b"77777777777\0",
                b"00000000001\0",
                b"\x80" + b"\xff" * 11,
                b"\xff" * 12,
                b"-0000000512\0",
            )
            header[124:136] = chance.choice(sizes)
        case 2:  # kind: links, devices, folders, long names, PAX and sparse members
            header[156:157] = chance.choice(
                (b"1", b"2", b"3", b"5", b"6", b"L", b"K", b"x", b"g", b"S", b"~")
            )
        case _:
            for _ in range(chance.randrange(1, 6)):
                header[chance.randrange(512)] = chance.randrange(256)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[start : start + 512] = header
    return bytes(content)
