"""Names for things that come in kinds: networks, methods, corruptions, domains, gates and others."""

from __future__ import annotations

import difflib
import inspect
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from winninghand.base.errors import InputError, shown, with_article

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Entry = TypeVar("Entry")

_LOG = logging.getLogger("winninghand")
# What ends the program, and is no failure of the code that it passes through.
_ENDS = (KeyboardInterrupt, GeneratorExit)


class PartError(InputError):
    """A part of another package that cannot be used; the message names the package."""


class Registry(Generic[Entry]):
    """A mapping from names to entries, each imported when it is first asked for.

    `places` says where the library's own entries lie, as `package.module:attribute`. Other packages
    add theirs as entry points of the group `winninghand.GROUP`, and programs theirs by `register`.
    The library's own names come first, then those of other packages, then registered ones.

    `subclass_of` or `instance_of` is the place of the class that entries are subclasses or instances
    of; an entry from elsewhere that is something else is refused when it is asked for.

    A duplicate in `register` is a fault of the code and raises `ValueError`; another package's
    duplicate is left out with a warning. `InputError` is raised for an unknown name, with the nearest
    one, and for another package's entry that cannot be imported or used, with that package's name
    (`PartError`). Whoever calls an entry does so in a block of `called(name)`, which says the same of what
    fails in it.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        places: Mapping[str, str] | None = None,
        *,
        subclass_of: str | None = None,
        instance_of: str | None = None,
    ) -> None:
        self.kind = kind
        self.group = f"winninghand.{group}"
        self._places = dict(places or {})
        self._subclass_of, self._instance_of = subclass_of, instance_of
        self._entries: dict[str, Entry] = {}
        self._checked: set[str] = set()

    @property
    def own(self) -> tuple[str, ...]:
        """The names of the library's own entries."""
        return tuple(self._places)

    def usable(self) -> dict[str, Entry]:
        """Return all entries by name, without those of other packages that cannot be used."""
        found = {}
        for name in self:
            with suppress(InputError):
                found[name] = self[name]
        return found

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers what it decorates under `name`, for this process."""

        def keep(entry: Entry) -> Entry:
            if name in self:
                raise ValueError(f"{self.kind} {name!r} is registered already")
            self._entries[name] = entry
            return entry

        return keep

    @contextmanager
    def called(self, name: str) -> Iterator[None]:
        """Turn what another package's entry raises in the block into `PartError`, which names the package.

        What the library's own entries and registered ones raise is passed on, and so is `InputError`.
        """
        try:
            yield
        except (*_ENDS, InputError):
            raise
        except BaseException as error:
            if name in self._places or name not in self._foreign:
                raise
            who = f"the {self.kind} {name!r} of {_origin(self._foreign[name])}"
            raise PartError(f"{who} failed ({_said(error)}); mend or uninstall that package") from error

    def __getitem__(self, name: str) -> Entry:
        if not isinstance(name, str):  # a list, for instance, can be no key
            raise InputError(f"unknown {self.kind} {shown(repr(name))}; {nearest(name, self)}")
        if name not in self._entries:
            self._entries[name] = self._imported(name)
        if name not in self._checked:
            self._check(name, self._entries[name])
            self._checked.add(name)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (
            name in self._places or name in self._entries or name in self._foreign
        )

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._places, *self._foreign, *self._entries)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        """Entry points of other packages, by name."""
        from importlib.metadata import entry_points  # a tenth of the time that the program takes to start

        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            if point.name in self._places:
                _LOG.warning(
                    "%s names %s %r, as the library does: the library's own stays",
                    _origin(point),
                    with_article(self.kind),
                    point.name,
                )
            elif point.name in found:
                _LOG.warning(
                    "%s names %s %r, as %s does: that one stays",
                    _origin(point),
                    with_article(self.kind),
                    point.name,
                    _origin(found[point.name]),
                )
            else:
                found[point.name] = point
        return found

    def _imported(self, name: str) -> Entry:
        if name in self._places:
            return cast(Entry, _lying_at(self._places[name]))
        if name not in self._foreign:
            raise InputError(f"unknown {self.kind} {name!r}; {nearest(name, self)}")
        point = self._foreign[name]
        try:
            return cast(Entry, point.load())
        except _ENDS:
            raise
        except BaseException as error:  # another package's code can fail in any way, or end the program
            raise PartError(
                f"the {self.kind} {name!r} of {_origin(point)} cannot be imported ({_said(error)}); mend or "
                "uninstall that package"
            ) from error

    def _check(self, name: str, entry: Entry) -> None:
        """Raise `InputError` for an entry from elsewhere that is not what entries of this registry are."""
        if name in self._places:
            return
        fault = self._fault(name, entry)
        if fault is not None:
            owner = f" of {_origin(self._foreign[name])}" if name in self._foreign else ""
            raise PartError(f"the {self.kind} {name!r}{owner} cannot be used: {fault}")

    def _fault(self, name: str, entry: object) -> str | None:
        """Say in what an entry differs from what is expected, if it does."""
        if self._instance_of is not None and not isinstance(entry, _lying_at(self._instance_of)):
            return f"it is no {_readable(self._instance_of)}, but {_described(entry)}"
        if self._subclass_of is not None:
            parent = _lying_at(self._subclass_of)
            if not isinstance(entry, type) or not issubclass(entry, parent):
                return f"it is no subclass of {_readable(self._subclass_of)}, but {_described(entry)}"
            left_out = sorted(getattr(entry, "__abstractmethods__", ()))
            if left_out:
                return f"it does not define {', '.join(left_out)}"
            own = getattr(entry, "name", None)
            if own != name and "name" in inspect.get_annotations(parent):
                return f"its class has the name {own!r}; let both names be the same"
        return None


def _lying_at(place: str) -> Any:  # noqa: ANN401 (whatever lies there)
    """Return the object at `package.module:attribute`."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def _readable(place: str) -> str:
    return place.replace(":", ".")


def _described(entry: object) -> str:
    return f"the class {entry.__name__}" if isinstance(entry, type) else with_article(type(entry).__name__)


def nearest(name: object, known: Iterable[str]) -> str:
    """Return advice for an unknown name: the nearest of those that are known, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(names)


def _origin(point: EntryPoint) -> str:
    return f"the package {point.dist.name}" if point.dist is not None else f"the entry point {point.value}"


def blamed(error: BaseException) -> str | None:
    """Say which other package that adds parts an error comes from, and where; None where from none.

    What counts is the last code in the traceback, of the error or of its cause, that is such a package's
    or the library's.
    """
    from importlib.metadata import distributions

    library = __name__.partition(".")[0]
    parts = {
        point.module.partition(".")[0]: point
        for distribution in distributions()
        for point in distribution.entry_points
        if point.group.startswith(f"{library}.")
    }
    cause: BaseException | None = error
    while cause is not None:
        modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(cause.__traceback__)]
        tops = [str(module).partition(".")[0] for module in modules]
        last = next((top for top in reversed(tops) if top == library or top in parts), library)
        if last != library:
            return f"{_origin(parts[last])} failed ({_said(cause)}); mend or uninstall that package"
        cause = cause.__cause__
    return None


def _said(error: BaseException) -> str:
    """Return an error in one line: its type, what it says, and where it was raised."""
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    places = [
        f"{Path(frame.filename).name}, line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    return f"{text}, in {places[-1]}" if places else text
