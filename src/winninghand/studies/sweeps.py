"""A sweep: its lists multiplied out, but for what is excluded and for keys that do not apply."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winninghand.base.errors import InputError, brief
from winninghand.base.registry import nearest
from winninghand.results.runs import shown

Condition = Mapping[str, Any]
"""Dotted keys and the value, or the list of values, that each has."""

_EXCLUDE, _WHEN = "exclude", "when"


@dataclass(frozen=True)
class Sweep:
    """The values of each dotted key, the choices that are left out, and when a key applies at all.

    `exclude` are conditions: a choice that meets one is left out. A key of `when` applies only in choices
    that meet its condition; elsewhere it is not set.
    """

    values: Mapping[str, tuple[Any, ...]]
    exclude: tuple[Condition, ...] = ()
    when: Mapping[str, Condition] | None = None

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Sweep:
        """Return the sweep of a table of a study's file; `InputError` names a key at fault."""
        keys = {key: value for key, value in table.items() if key not in (_EXCLUDE, _WHEN)}
        for key, value in keys.items():
            if value == []:
                raise InputError(f"{key!r} has no value to sweep over; give one, or leave the key out")
        values = {key: tuple(value) if isinstance(value, list) else (value,) for key, value in keys.items()}
        exclude, when = table.get(_EXCLUDE, []), table.get(_WHEN, {})
        check_conditions(exclude, values)
        if not isinstance(when, Mapping):
            raise InputError('when is a table of conditions, such as when = {"a.key" = {"another.key" = 1}}')
        for key, condition in when.items():
            _check_known(key, values, _WHEN)
            if isinstance(condition, Mapping) and key in condition:
                raise InputError(f"the condition of {key!r} in {_WHEN} names that key; name another one")
            check_conditions([condition], {one: values[one] for one in values if one != key}, _WHEN)
        return cls(values, tuple(exclude), when)

    @property
    def number(self) -> int:
        """How many choices there are, those that conditions exclude counted."""
        return math.prod(map(len, self.values.values()))

    @property
    def varied(self) -> frozenset[str]:
        """The keys that have several values."""
        return frozenset(key for key, values in self.values.items() if len(values) > 1)

    def choices(self, exclude: tuple[Condition, ...] = ()) -> Iterator[dict[str, Any]]:
        """Yield the choices, the last key turning fastest, but for those that a condition excludes."""
        conditions = (*self.exclude, *exclude)
        for values in itertools.product(*self.values.values()):
            choice = self._applicable(dict(zip(self.values, values, strict=True)))
            if not any(meets(choice, condition) for condition in conditions):
                yield choice

    def _applicable(self, choice: dict[str, Any]) -> dict[str, Any]:
        """Return a choice without the keys that do not apply, nor those whose condition names such a key."""
        conditions = dict(self.when or {})
        while True:
            out = [key for key in conditions if key in choice and not meets(choice, conditions[key])]
            if not out:
                return choice
            choice = {key: value for key, value in choice.items() if key not in out}


def meets(choice: Mapping[str, Any], condition: Condition) -> bool:
    """Say whether a choice has all values of a condition; a name stands for any table with that name."""
    return all(key in choice and _is(choice[key], wanted) for key, wanted in condition.items())


def check_conditions(conditions: object, values: Mapping[str, Sequence[Any]], what: str = _EXCLUDE) -> None:
    """Raise `InputError` unless these are conditions on these keys, and on values that they have."""
    if not isinstance(conditions, list | tuple) or not all(isinstance(one, Mapping) for one in conditions):
        raise InputError(f'{what} takes tables of keys and values: [{{"compression.method" = "gmp"}}]')
    for condition in conditions:
        if not condition:
            raise InputError(f"a condition of {what} is empty; give it a key and a value")
        for key, value in condition.items():
            _check_known(key, values, what)
            if value == []:
                raise InputError(f"{key!r} of {what} has no value; give one, or leave the key out")
            _check_had(key, value, values[key], what)


def _check_known(key: str, values: Mapping[str, Sequence[Any]], what: str) -> None:
    if key not in values:
        raise InputError(f"{what} names {key!r}, which is not swept over; {nearest(key, values)}")


def _check_had(key: str, wanted: object, values: Sequence[Any], what: str) -> None:
    """Raise `InputError` for a value that a key never has: what names it would never be met."""
    if any(value == wanted for value in values):
        return
    for one in wanted if isinstance(wanted, list) else [wanted]:
        if not any(_is(value, one) for value in values):
            known = dict.fromkeys(map(shown, values))
            raise InputError(
                f"{what} gives {key!r} the value {brief(one)}, which it never has; {nearest(one, known)}"
            )


def _is(value: object, wanted: object) -> bool:
    if value == wanted or (isinstance(value, Mapping) and value.get("name", value) == wanted):
        return True
    return isinstance(wanted, list) and any(_is(value, one) for one in wanted)
