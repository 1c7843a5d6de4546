"""Old names that still work for one minor version, and say what the new one is."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from winninghand.base.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")

_WITHIN = ("winninghand", "pydantic", "pydantic_core")


class OldNameWarning(DeprecationWarning):
    """What is said of an old name that still works; the command line shows it in one line."""


def renamed(old: str, new: str, removal: str = "0.3") -> None:
    """Warn that `old` is now called `new`, at the last line outside the library that led here."""
    said = f"{old} is now called {new}; the old name goes in {removal}"
    warnings.warn(said, OldNameWarning, stacklevel=2 + _depth(sys._getframe(1)))


def _depth(frame: FrameType | None) -> int:
    """Return how many frames, from this one up, are the library's or of what checks its settings."""
    depth = 0
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _WITHIN:
            return depth
        frame, depth = frame.f_back, depth + 1
    return 0


def with_new_keys(table: Any, names: Mapping[str, str], place: str) -> Any:  # noqa: ANN401 (checked later)
    """Return a table of settings with old keys under their new names; each that is found is warned of.

    `names` maps old keys to new ones; `place` says in the warning where they stand. Anything that
    is no table is returned as it is, for the check that follows to refuse.
    """
    if not isinstance(table, Mapping) or not table.keys() & names.keys():
        return table
    for old in table.keys() & names.keys():
        if names[old] in table:
            raise InputError(f"{place}.{old} is the old name of {place}.{names[old]}; give one of them")
        renamed(f"{place}.{old}", f"{place}.{names[old]}")
    return {names.get(key, key): value for key, value in table.items()}


def renamed_arguments(**names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator that lets a function take arguments, given by name, under old names too.

    `names` maps old names to new ones. Raises `InputError` where both are given, whether the new one by
    name or by its place.
    """

    def decorator(function: Callable[P, T]) -> Callable[P, T]:
        order = list(signature(function).parameters)

        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            for old in names.keys() & kwargs.keys():
                if names[old] in kwargs or names[old] in order[: len(args)]:
                    raise InputError(f"{old} is the old name of {names[old]}; give one of them")
                renamed(old, names[old])
                kwargs[names[old]] = kwargs.pop(old)
            return function(*args, **kwargs)

        return wrapper

    return decorator
