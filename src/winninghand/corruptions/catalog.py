"""What a corruption is, and the registry that names all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from winninghand.base import catalog
from winninghand.base.errors import InputError
from winninghand.base.randomness import CounterRNG
from winninghand.base.registry import Registry

Function = Callable[[Tensor, int, CounterRNG], Tensor]

SEVERITIES = (1, 2, 3, 4, 5)
BENCHMARK_GROUPS = ("common", "extra")


@dataclass(frozen=True)
class Corruption:
    """One corruption at five severities (Hendrycks & Dietterich 2019).

    `function` takes images uint8 (N, H, W, 3), a severity in 1..5 and a `CounterRNG` with one
    stream of random numbers per image; it returns new images of the same shape, type and device.
    `family` is "noise", "blur", "weather", "digital" or a word of another package's own; `group`
    is what selects it together with others. A `deterministic` one draws no random numbers.
    `unavailable` returns None, or one line: why this machine cannot apply the corruption, and the
    command that mends it.
    """

    name: str
    family: str
    group: str
    deterministic: bool
    function: Function
    unavailable: Callable[[], str | None]


def corruption(
    name: str,
    family: str,
    group: str = "other",
    deterministic: bool = False,
    unavailable: Callable[[], str | None] = lambda: None,
) -> Callable[[Function], Corruption]:
    """Return a decorator that makes a function the corruption `name`."""

    def make(function: Function) -> Corruption:
        return Corruption(name, family, group, deterministic, function, unavailable)

    return make


def corruption_names(selection: str | Sequence[str] = "common") -> tuple[str, ...]:
    """Return the names that `selection` stands for, each once.

    `selection` is a name, several of these separated by commas, or a sequence of them. "common"
    stands for the fifteen of the benchmark, "extra" for its other four, and "all" for both: these
    three are the same whatever else is installed. Any other group stands for those of other
    packages that carry it. Raises `InputError` for an unknown name or an empty selection.
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


def family_of(name: str) -> str:
    """Return the family of a corruption, "other" for one that is not installed here.

    Results that were measured elsewhere can name such a one.
    """
    return CORRUPTIONS[name].family if name in CORRUPTIONS else "other"


def _meant_by(item: str) -> list[str]:
    if item == "all":
        return _meant_by("common") + _meant_by("extra")
    if item in BENCHMARK_GROUPS:
        return [name for name in CORRUPTIONS.own if CORRUPTIONS[name].group == item]
    if not item or item in CORRUPTIONS:
        return [item] if item else []
    foreign = [name for name in CORRUPTIONS if name not in CORRUPTIONS.own]
    # An unknown name is looked up last, for the registry's answer with the nearest one.
    return [name for name in foreign if CORRUPTIONS[name].group == item] or [CORRUPTIONS[item].name]


CORRUPTIONS: Registry[Corruption] = catalog.CORRUPTIONS
