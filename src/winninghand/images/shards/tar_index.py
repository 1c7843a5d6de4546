"""Where the pictures of a tar file lie, and their labels: looked for once, and kept in the cache.

Nothing is unpacked: names in an archive are shown to people, and never become paths.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from winninghand.base.errors import InputError, brief, shown
from winninghand.base.files import read_sealed, regular, write_sealed
from winninghand.images.cache import cache_folder
from winninghand.images.pictures import LARGEST_FILE, SUFFIXES

_LOG = logging.getLogger(__name__)
_VERSION = 1
"""To be raised by whoever changes what an index holds."""
_LONGEST_LABEL = 2**20
_NUMBER = re.compile(r"[+-]?\d{1,18}")
_BLOCK = 512
_LONGEST_NAME = 200
_COMPRESSIONS = (
    (b"\x1f\x8b\x08", ".gz", "gunzip"),
    (b"BZh", ".bz2", "bunzip2"),
    (b"\xfd7zXZ\x00", ".xz", "unxz"),
    (b"\x28\xb5\x2f\xfd", ".zst", "unzstd"),
)
"""First bytes of compressed files, what their names end with, and what unpacks them."""

Label = int | str


@dataclass(frozen=True)
class TarIndex:
    """The pictures of a tar file in order: their members' names, offsets and lengths in bytes, and labels."""

    names: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)


def tar_index(path: Path) -> TarIndex:
    """Return the index of a tar file, from the cache where it was looked through before.

    Raises `InputError` where it is damaged, cut off or compressed, holds what is no plain file, or a picture
    without a label.
    """
    try:
        status = path.stat()
        stamp = json.dumps([_VERSION, str(path.resolve()), status.st_size, status.st_mtime_ns])
        kept = cache_folder() / "indexes" / f"{hashlib.sha256(stamp.encode()).hexdigest()[:32]}.json"
    except (OSError, RuntimeError) as error:  # a file that went away, or no home folder
        _LOG.warning("the index of %s is not kept: %s", shown(path), shown(error))
        return _looked_through(path)
    try:
        if kept.is_file():
            return TarIndex(**read_sealed(kept))
    except (OSError, InputError, TypeError) as error:
        _LOG.warning("looking through %s again: %s", shown(path), shown(error))
    found = _looked_through(path)
    try:
        write_sealed(vars(found), kept)
    except (OSError, InputError) as error:
        _LOG.warning("the index of %s is not kept: %s", shown(path), shown(error))
    return found


@dataclass
class _Sample:
    """What members of one key hold: a picture, and a label by itself or among other things."""

    picture: tuple[str, int, int] | None = None
    label: Label | None = None
    also: Label | None = None


def _looked_through(path: Path) -> TarIndex:
    samples: dict[str, _Sample] = {}
    try:
        with regular(path).open("rb") as file:
            for name, offset, length in _members(path, file):
                key, ending = _parts(name)
                if ending not in ("cls", "json") and f".{ending}" not in SUFFIXES:
                    continue
                sample = samples.setdefault(key, _Sample())
                if f".{ending}" in SUFFIXES:
                    _check_first(path, name, sample.picture)
                    if length > LARGEST_FILE:
                        raise InputError(
                            f"{_called(path, name)} is larger than {LARGEST_FILE:,} bytes; give a smaller one"
                        )
                    sample.picture = name[-_LONGEST_NAME:], offset, length
                elif ending == "cls":
                    _check_first(path, name, sample.label)
                    sample.label = _number(path, name, _text(path, name, file, offset, length))
                else:
                    _check_first(path, name, sample.also)
                    sample.also = _entry(path, name, _text(path, name, file, offset, length))
    except InputError:
        raise
    # Broken archives raise nearly anything: TarError, EOFError, ValueError, OverflowError …
    except Exception as error:
        raise _compressed(path) or InputError(
            f"{path} is not a readable tar file ({error}); fetch it again"
        ) from None
    return _index(path, samples)


def _index(path: Path, samples: dict[str, _Sample]) -> TarIndex:
    found = TarIndex()
    for sample in samples.values():
        if sample.picture is None:
            continue
        name, offset, length = sample.picture
        label = sample.also if sample.label is None else sample.label
        if label is None:
            key = _parts(name)[0].rpartition("/")[2]
            raise InputError(
                f"{_called(path, name)} has no label; add {shown(key, 100)}.cls that holds its class's "
                f'number, or {shown(key, 100)}.json with a "label"'
            )
        found.names.append(name)
        found.offsets.append(offset)
        found.lengths.append(length)
        found.labels.append(label)
    return found


def _members(path: Path, file: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Yield name, offset and length of the members of an archive; `InputError` where it is cut off."""
    end = path.stat().st_size
    last = "its beginning"
    with path.open("rb") as own, tarfile.open(fileobj=own, mode="r:") as archive:
        offset = -1
        while (member := archive.next()) is not None:
            name = member.name
            if member.offset_data <= offset:
                raise ValueError("its members lie one within another")
            offset = member.offset_data
            archive.members.clear()  # type: ignore[attr-defined]  # of which it would keep all
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise InputError(
                    f"{_called(path, name)} is a link, a device or in pieces; write the archive with plain "
                    "files alone"
                )
            if member.size < 0 or offset - (-member.size // _BLOCK) * _BLOCK > end:
                raise _cut_off(path, f"within {shown(name, 100)}")
            yield name, offset, member.size
            last = shown(name, 100)
        file.seek(archive.offset)
        mark = file.read(_BLOCK)
    if len(mark) < _BLOCK:
        raise _cut_off(path, f"after {last}")
    if any(mark):
        raise InputError(f"{path} is damaged after {last}; fetch it again")


def _compressed(path: Path) -> InputError | None:
    """Return what is to be said of a file that is compressed, by its first bytes; None for any other."""
    with path.open("rb") as file:
        begin = file.read(6)
    for mark, ending, tool in _COMPRESSIONS:
        if begin.startswith(mark):
            return InputError(
                f"{path} is compressed, and members are read from their places in a file that is not; rename "
                f"it to {path.name}{ending}, and unpack it by {tool}"
            )
    return None


def _cut_off(path: Path, where: str) -> InputError:
    return InputError(f"{path} is cut off {where}; fetch it again")


def _parts(name: str) -> tuple[str, str]:
    """Return key and ending of a member: what stands before the first point of its name, and after it."""
    folder, _, last = name.rpartition("/")
    key, _, ending = last.partition(".")
    return f"{folder}/{key}", ending.lower() if key else ""


def _called(path: Path, name: str) -> str:
    return f"{path} member {shown(name, 100)}"


def _check_first(path: Path, name: str, before: object) -> None:
    if before is not None:
        raise InputError(f"{_called(path, name)} is the second of its kind under one key; remove one")


def _text(path: Path, name: str, file: BinaryIO, offset: int, length: int) -> bytes:
    if length > _LONGEST_LABEL:
        raise InputError(f"{_called(path, name)} is larger than {_LONGEST_LABEL:,} bytes; shorten it")
    file.seek(offset)
    return file.read(length)


def _number(path: Path, name: str, content: bytes) -> int:
    text = content.decode("utf-8", "replace").strip()
    if not _NUMBER.fullmatch(text):
        raise InputError(f"{_called(path, name)} holds {brief(text)} and no class's number; write one, as 7")
    return int(text)


def _entry(path: Path, name: str, content: bytes) -> Label | None:
    """Return the `label` of a JSON file: a class's number or name, None where it has none."""
    try:
        table: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{_called(path, name)} is no readable JSON; write it anew") from None
    label = table.get("label") if isinstance(table, dict) else None
    if label is None or isinstance(label, str) or (type(label) is int and abs(label) < 10**18):
        return label
    raise InputError(f"{_called(path, name)} has a label that is no class's number or name; write one, as 7")
