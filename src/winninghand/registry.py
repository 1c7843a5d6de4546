"""Names for things that come in kinds: networks, methods, corruptions, domains, gates."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from winninghand.errors import InputError

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """A mapping from registered names to entries, in the order of registration.

    A duplicate name is a fault of the code and raises `ValueError`; an unknown name is bad
    input and raises `InputError` with the nearest known one.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers what it decorates under `name`."""

        def keep(entry: Entry) -> Entry:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered already")
            self._entries[name] = entry
            return entry

        return keep

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            raise InputError(f"unknown {self.kind} {name!r}; {self._advice(name)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _advice(self, name: str) -> str:
        nearest = difflib.get_close_matches(str(name), self._entries, n=1)
        if nearest:
            return f"did you mean {nearest[0]!r}?"
        return "known: " + ", ".join(self._entries)
