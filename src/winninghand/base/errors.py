"""The one kind of error that is the caller's to mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from winninghand.base.text import shown

if TYPE_CHECKING:
    from pydantic import ValidationError

_LONGEST = 2000


class InputError(ValueError):
    """Input that cannot be used; its message is one line that says what is wrong and how to mend it."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(" ".join(message.split()), _LONGEST))


def first_error(error: ValidationError) -> str:
    """Return one line on the first key at fault in a table that was checked."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "the whole"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}; remove it or mend its name"
    if first["type"] == "value_error":
        return f"{key}: {first['msg'].removeprefix('Value error, ')}"
    return f"{key}: {first['msg'].lower()}, not {shown(repr(first['input']))}"
