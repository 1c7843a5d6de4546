"""What a corruption is, and the registry that names all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from winninghand.base import catalog
from winninghand.base.errors import InputError
from winninghand.base.randomness import CounterRNG
from winninghand.base.registry import Registry

Function = Callable[[Tensor, int, CounterRNG], Tensor]
Family = Literal["noise", "blur", "weather", "digital"]
Group = Literal["common", "extra"]

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Corruption:
    """One corruption of CIFAR-10-C at five severities (Hendrycks & Dietterich 2019).

    `function` takes images uint8 (N, H, W, 3), a severity in 1..5 and one stream of random
    numbers per image; it returns new images of the same shape, type and device. `unavailable`
    returns None, or one line: why this machine cannot apply it and the command that mends it.
    """

    name: str
    family: Family
    group: Group
    deterministic: bool
    function: Function
    unavailable: Callable[[], str | None]


def corruption(
    name: str,
    family: Family,
    group: Group = "common",
    deterministic: bool = False,
    unavailable: Callable[[], str | None] = lambda: None,
) -> Callable[[Function], Corruption]:
    """Return a decorator that makes a function the corruption `name`."""

    def make(function: Function) -> Corruption:
        return Corruption(name, family, group, deterministic, function, unavailable)

    return make


def corruption_names(selection: str | Sequence[str] = "common") -> tuple[str, ...]:
    """Return the names that `selection` stands for, each once.

    `selection` is "common" (the fifteen of the benchmark), "extra" (the other four), "all", a
    name, several of these separated by commas, or a sequence of them. Raises `InputError` for an
    unknown name or an empty selection.
    """
    items = selection.split(",") if isinstance(selection, str) else list(selection)
    names = [name for item in items for name in _meant_by(item.strip())]
    if not names:
        raise InputError("no corruption is selected; name some, or 'common', 'extra' or 'all'")
    return tuple(dict.fromkeys(names))


def missing_corruptions(names: Sequence[str]) -> dict[str, str]:
    """Return those of `names` that this machine cannot apply, each with the reason and its mending."""
    reasons = {name: CORRUPTIONS[name].unavailable() for name in names}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _meant_by(item: str) -> list[str]:
    if item == "all":
        return _meant_by("common") + _meant_by("extra")
    if item in ("common", "extra"):
        return [name for name in CORRUPTIONS if CORRUPTIONS[name].group == item]
    return [CORRUPTIONS[item].name] if item else []


CORRUPTIONS: Registry[Corruption] = catalog.CORRUPTIONS
