"""Libraries of networks that are known by name; what each of them has in common. One file per library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from torch import nn

from winninghand.base.errors import InputError
from winninghand.base.extras import needed

Triple: TypeAlias = tuple[float, float, float]


class Preprocessing(NamedTuple):
    """How a network expects its images: mean and std per channel, in units of [0, 1], and (height, width).

    `transform` is how pictures are brought to that size where its library measures it, by the names of
    `wh.load_images`; `crop` where that does not know the library's way.
    """

    mean: Triple
    std: Triple
    size: tuple[int, int]
    transform: str = "crop"

    def transform_at(self, size: tuple[int, int]) -> str:
        """Return how pictures are brought to a size (height, width): the library's way is for its own."""
        return self.transform if size == self.size else "crop"


class Built(NamedTuple):
    """A network, what rebuilds it, the version of its library, and how it expects its images."""

    module: nn.Module
    settings: dict[str, Any]
    version: str
    preprocessing: Preprocessing | None


class Found(NamedTuple):
    """What rebuilds a module that a library made: its name there, and its settings."""

    name: str
    settings: dict[str, Any]


def imported(module: str, name: str) -> ModuleType:
    """Return a module of a library that the network `name` needs; `InputError` says how to install it."""
    return needed(module, module.partition(".")[0], f"for the network {name!r}")


def preprocessing(mean: object, std: object, size: object, transform: str = "crop") -> Preprocessing | None:
    """Return what a library says of the images; None unless it is sensible in all parts."""
    numbers = [*_numbers(mean), *_numbers(std)]
    sides = (size, size) if isinstance(size, int) else size
    if len(numbers) != 6 or not isinstance(sides, list | tuple) or len(sides) != 2:
        return None
    if not all(abs(one) <= 1e6 for one in numbers) or not all(one >= 1e-6 for one in numbers[3:]):
        return None
    if not all(isinstance(side, int) and 1 <= side <= 4096 for side in sides):
        return None
    red, green, blue, *spread = numbers
    stds = spread[0], spread[1], spread[2]
    return Preprocessing((red, green, blue), stds, (sides[0], sides[1]), transform)


def _numbers(values: object) -> list[float]:
    if not isinstance(values, list | tuple) or len(values) != 3:
        return []
    fits = all(isinstance(one, int | float) and math.isfinite(one) for one in values)
    return [float(one) for one in values] if fits else []


def refuse(name: str, settings: Mapping[str, object], keys: frozenset[str]) -> None:
    """Raise `InputError` for a setting that would read a file, or that is not the caller's to choose."""
    found = sorted(keys & settings.keys())
    if found:
        raise InputError(f"network {name!r}: the setting {found[0]!r} cannot be given; leave it out")
