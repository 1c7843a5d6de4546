"""TOML files, which may be a stranger's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winninghand.base.errors import InputError
from winninghand.base.files import regular

_LARGEST = 1 << 20


def read_toml(path: Path | str, what: str) -> dict[str, Any]:
    """Return the table in a file, which `what` names to people, such as "the recipe".

    Raises `InputError` for what is no file, no TOML, of more than a megabyte, nested hundreds deep or
    holds a number of thousands of digits.
    """
    path = Path(path)
    try:
        with regular(path).open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise InputError(f"it has more than {_LARGEST:,} bytes")
        return tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise InputError(f"cannot read {what} {path}: it is nested too deep") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read {what} {path}: {reason}; mend it or give another file") from error


def dotted(table: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return a table of tables as one of dotted keys, such as `training.epochs`."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= dotted(value, f"{path}{key}.") if isinstance(value, Mapping) else {f"{path}{key}": value}
    return flat
