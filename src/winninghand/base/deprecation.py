"""Old names that still work for one minor version, and say what the new one is."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any


class OldNameWarning(DeprecationWarning):
    """What is said of an old name that still works; the command line shows it in one line."""


def renamed(old: str, new: str, removal: str = "0.3") -> None:
    """Warn that `old` is now called `new`, at the place that called the caller."""
    warnings.warn(f"{old} is now called {new}; the old name goes in {removal}", OldNameWarning, stacklevel=3)


def with_new_keys(table: Any, names: Mapping[str, str], place: str) -> Any:  # noqa: ANN401 (checked later)
    """Return a table of settings with old keys under their new names; each that is found is warned of.

    `names` maps old keys to new ones; `place` says in the warning where they stand. Anything that
    is no table is returned as it is, for the check that follows to refuse.
    """
    if not isinstance(table, Mapping) or not table.keys() & names.keys():
        return table
    for old in table.keys() & names.keys():
        renamed(f"{place}.{old}", f"{place}.{names[old]}")
    return {names.get(key, key): value for key, value in table.items()}
