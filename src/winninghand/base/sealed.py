"""JSON files that carry a digest of their content, so that damage is found before it is believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winninghand.base.errors import InputError
from winninghand.base.files import write_text

_DIGEST = "digest"


def write_sealed(table: Mapping[str, Any], path: Path) -> None:
    """Write a table of JSON values with its digest, whole or not at all; an equal file stays as it is."""
    text = json.dumps({**table, _DIGEST: _digest(table)}, indent=1) + "\n"
    if not (path.is_file() and path.read_bytes() == text.encode()):
        write_text(text, path)


def read_sealed(path: Path) -> dict[str, Any]:
    """Return the table that a file holds, without its digest; one that has none, as of 0.1, is not checked.

    Raises `InputError` for what cannot be read, is no table or does not fit its digest.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__})") from error
    if not isinstance(table, dict):
        raise InputError(f"{path} is damaged: it holds a {type(table).__name__} in place of a table")
    digest = table.pop(_DIGEST, None)
    if digest not in (None, _digest(table)):
        raise InputError(f"{path} is damaged: its content does not fit its digest")
    return table


def _digest(table: Mapping[str, Any]) -> str:
    content = json.dumps(table, sort_keys=True).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()
