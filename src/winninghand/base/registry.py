"""Names for things that come in kinds: networks, methods, corruptions, domains, gates and others."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from winninghand.base.errors import InputError

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """A mapping from names to entries, each imported when it is first asked for.

    `places` says where the library's own entries lie, as `package.module:attribute`. Other packages
    add theirs as entry points of the group `winninghand.GROUP`, and programs theirs by `register`.
    The library's own names come first, then those of other packages, then registered ones.

    A duplicate in `register` is a fault of the code and raises `ValueError`; another package's
    duplicate is left out with a warning. An unknown name raises `InputError` with the nearest one.
    """

    def __init__(self, kind: str, group: str, places: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.group = f"winninghand.{group}"
        self._places = dict(places or {})
        self._entries: dict[str, Entry] = {}

    @property
    def own(self) -> tuple[str, ...]:
        """The names of the library's own entries."""
        return tuple(self._places)

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers what it decorates under `name`, for this process."""

        def keep(entry: Entry) -> Entry:
            if name in self:
                raise ValueError(f"{self.kind} {name!r} is registered already")
            self._entries[name] = entry
            return entry

        return keep

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            self._entries[name] = self._imported(name)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in self._entries or name in self._foreign

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._places, *self._foreign, *self._entries)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        """Entry points of other packages, by name."""
        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            if point.name in self._places or point.name in found:
                warnings.warn(f"{_origin(point)} names a {self.kind} {point.name!r} again", stacklevel=2)
            else:
                found[point.name] = point
        return found

    def _imported(self, name: str) -> Entry:
        if name in self._places:
            module, _, attribute = self._places[name].partition(":")
            return cast(Entry, getattr(import_module(module), attribute))
        if name not in self._foreign:
            raise InputError(f"unknown {self.kind} {name!r}; {nearest(name, self)}")
        point = self._foreign[name]
        try:
            return cast(Entry, point.load())
        except Exception as error:  # another package's code can fail in any way
            raise InputError(
                f"the {self.kind} {name!r} of {_origin(point)} cannot be imported "
                f"({type(error).__name__}: {error}); mend or uninstall that package"
            ) from error


def nearest(name: object, known: Iterable[str]) -> str:
    """Return advice for an unknown name: the nearest of those that are known, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(names)


def _origin(point: EntryPoint) -> str:
    return f"the package {point.dist.name}" if point.dist is not None else f"the entry point {point.value}"
