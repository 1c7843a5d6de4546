"""Whole numbers that callers give: seeds, counts, places."""

from __future__ import annotations

from numbers import Integral

from winninghand.base.errors import InputError

LARGEST = 2**63 - 1


def checked_whole(name: str, value: object, least: int = 0, most: int = LARGEST) -> int:
    """Return `value` as an int, or raise `InputError` unless it is a whole number in `least` .. `most`.

    NumPy's integers are whole numbers; booleans and 2.0 are not.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not least <= int(value) <= most:  # type: ignore[call-overload]
        wanted = f"from {least} to {most}" if most != LARGEST else f"of at least {least} and below 2**63"
        raise InputError(f"{name} must be a whole number {wanted}, not {_short(value)}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def _short(value: object) -> str:
    """Return a value as it is written, unless that is long."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"one of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
