"""The file of a card or a deck: safetensors, with checksums and a schema version in its header."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from winninghand.base.errors import InputError, checked_path
from winninghand.base.files import atomic_write
from winninghand.cards.codec.tensors import uses_blocks
from winninghand.hub.address import PREFIX as HUB
from winninghand.hub.address import address_of
from winninghand.zoo import PREFIX, ZOO, check_no_model, file_of

SCHEMA = 1

# A file whose streams are stored once, by content: versions that read schema 1 alone say "upgrade".
_ONCE = 2
# A file with masks by blocks of inputs; its streams may be stored once or not.
_BLOCKS = 3
# A file whose weights are drawn anew from a seed, under the masks that it holds; the rest as of 3.
_DRAWN = 4
_INDEX = "index"

DRAWN = "drawn"
"""Where a card's header says that its weights are a function of a seed."""

# One key, because safetensors writes several in no fixed order.
_KEY = "winninghand"
_LONGEST_HEADER = 1 << 24
_NO_MODEL = "it is no card or deck, or one that is cut or damaged; give another file, or fetch it again"


def model_path(model: Path | str, revision: str | None = None) -> Path:
    """Return the file that `zoo:NAME` or `hf:OWNER/NAME` stands for; any other path is returned as it is.

    A model of the hub is fetched into the hub's cache where it is not there. `revision` is a branch, tag or
    commit of it, which may also be written as `hf:OWNER/NAME@REVISION`; the newest of `main` where None.

    Raises `InputError` for a name that the zoo does not have, for what the hub does not have or does not
    give, and for a revision of what is not on the hub.
    """
    path, text = checked_path("the model", model, "a path, zoo:NAME or hf:OWNER/NAME"), str(model)
    if text.startswith(HUB):
        from winninghand.hub.address import parse
        from winninghand.hub.fetching import fetch

        return fetch(parse(text, revision))
    if revision is not None:
        raise InputError(f"{text} is no hf:OWNER/NAME, which alone has revisions; leave it out")
    return file_of(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else path


def model_digest(file: Path) -> str:
    """Return a hash of a model's file, 16 hexadecimal digits, as in the results of studies."""
    return _digest(file.read_bytes())


def write_streams(
    path: Path | str, header: Mapping[str, Any], streams: Mapping[str, torch.Tensor], once: bool = False
) -> None:
    """Write a header of JSON values and named flat uint8 tensors to one file, whole or not at all.

    With `once`, streams of the same content are stored once.
    """
    check_no_model(path)
    content = safetensors_of(header, streams, once)
    with atomic_write(path) as tmp:
        tmp.write_bytes(content)


def safetensors_of(
    header: Mapping[str, Any], streams: Mapping[str, torch.Tensor], once: bool = False
) -> bytes:
    """Return the bytes of the safetensors file that holds a header and streams, with their checksums."""
    same = _repeated(streams) if once else {}
    streams = {name: stream for name, stream in streams.items() if name not in same}
    checksums = {name: _digest(stream.numpy().tobytes()) for name, stream in streams.items()}
    metadata: dict[str, Any] = {"schema": SCHEMA, "header": dict(header), "streams": checksums}
    if same:
        metadata |= {"schema": _ONCE, "same": same}
    if any(uses_blocks(stream) for name, stream in streams.items() if name.rpartition("/")[2] == _INDEX):
        metadata["schema"] = _BLOCKS
    if any(DRAWN in one for one in (header, *header.get("cards", ()))):
        metadata["schema"] = _DRAWN
    # It covers the streams' checksums too, so that a header fits no other card's streams.
    metadata["checksum"] = _checksum(metadata)
    # What a file held once is one tensor, of which safetensors would not write two.
    apart = {name: stream.clone() for name, stream in streams.items()}
    return safetensors.torch.save(apart, {_KEY: _text(metadata).decode()})


def read_streams(path: Path | str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return header and streams of a file; `InputError` where they are not as they were written.

    Streams that are stored once are one tensor.
    """
    with _said_of(path):
        _check_header_length(Path(path))
        try:
            with safe_open(path, framework="pt") as file:
                metadata = _metadata(file.metadata())
                if set(file.keys()) != set(metadata["streams"]):
                    raise InputError("streams are missing from it, or there are some too many")
                streams = {name: _stream(file, name, digest) for name, digest in metadata["streams"].items()}
        except SafetensorError as error:
            raise InputError(_NO_MODEL) from error
        for name, other in metadata.get("same", {}).items():
            if name in streams or not isinstance(other, str) or other not in metadata["streams"]:
                raise InputError(f"its stream {name!r} is said to be one that it does not hold")
            streams[name] = streams[other]
    return metadata["header"], streams


def _check_header_length(path: Path) -> None:
    """Refuse a path that is no file, and a file whose first eight bytes announce no sensible header."""
    if path.is_dir():
        within = sorted([*path.glob("*.card"), *path.glob("*.deck")])
        raise InputError(f"it is a folder; give {within[0] if len(within) == 1 else 'a .card or .deck file'}")
    if not path.is_file():
        raise InputError(f"there is no such file{_meant(path)}")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(_LONGEST_HEADER, path.stat().st_size - 8):
        raise InputError(_NO_MODEL)


def _meant(path: Path) -> str:
    """Say how what was given is given rightly: a name of the zoo, or the address of a page of the hub."""
    if str(path) in ZOO:
        return f"; {PREFIX}{path} is a model that comes with the library"
    match path.parts:  # a path has made one slash of two
        case ("https:" | "http:", "huggingface.co" | "hf.co", owner, name, *_):
            return f"; give {HUB}{owner}/{name}"
        case ("https:" | "http:", *_):
            return "; give a file that was downloaded, or hf:OWNER/NAME"
    return "; give the path of a .card or .deck file, zoo:NAME or hf:OWNER/NAME"


def _metadata(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the checked contents of the metadata."""
    if not metadata or _KEY not in metadata:
        raise InputError("it is a safetensors file, but no card or deck; import it instead")
    try:
        metadata = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise InputError("its header is damaged") from error
    match metadata:
        case {"schema": 2, "same": {}, "header": {}, "streams": {}, "checksum": checksum}:
            sound = checksum == _checksum(metadata)
        case {"schema": 3 | 4, "header": {}, "streams": {}, "checksum": checksum}:
            sound = checksum == _checksum(metadata) and isinstance(metadata.get("same", {}), dict)
        case {"schema": int(schema)} if schema > SCHEMA:
            raise InputError(f"it has schema {schema}, written by a newer winninghand; upgrade")
        case {"schema": 1, "header": {}, "streams": {}, "checksum": checksum}:
            sound = checksum == _checksum(metadata) and "same" not in metadata
        case _:
            sound = False
    if sound:
        return dict(metadata)
    raise InputError("its header is damaged")


def _repeated(streams: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return for each stream of the same content as an earlier one the name of the first of these."""
    first: dict[bytes, str] = {}
    found = {name: first.setdefault(stream.numpy().tobytes(), name) for name, stream in streams.items()}
    return {name: other for name, other in found.items() if name != other}


def _checksum(metadata: Mapping[str, Any]) -> str | None:
    """Return the checksum of all metadata but itself; None for what no writer could have written."""
    try:
        return _digest(_text({key: value for key, value in metadata.items() if key != "checksum"}))
    except ValueError:
        return None


def _stream(file: Any, name: str, digest: object) -> torch.Tensor:  # noqa: ANN401 (safetensors is untyped)
    """Return one stream, checked."""
    place = file.get_slice(name)
    if place.get_dtype() != "U8" or len(place.get_shape()) != 1:
        raise InputError(f"its stream {name!r} is not flat bytes")
    stream: torch.Tensor = file.get_tensor(name)
    if _digest(stream.numpy().tobytes()) != digest:
        raise InputError(f"the checksum of its stream {name!r} does not match")
    return stream


def _text(value: object) -> bytes:
    """Return a JSON value in its one compact form."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _digest(content: bytes) -> str:
    """Return a short checksum, 16 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


@contextmanager
def _said_of(path: Path | str) -> Iterator[None]:
    """Add the file's name to what is wrong with it; of a copy of the hub's the name there, too."""
    try:
        yield
    except (InputError, OSError) as error:
        address = address_of(path)
        name = path if address is None else f"{address}, kept as {path}"
        raise InputError(f"cannot load {name}: {error}") from error
