"""A study's runs: its sweeps, multiplied out into recipes in order of worth."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from winninghand.compression import METHODS, Phase, Start
from winninghand.recipe import Recipe, make_recipe, set_dotted
from winninghand.studies.study import Study


@dataclass(frozen=True)
class Entry:
    """One run of a study: what the sweep chose, the recipe that results, and a name for its folder."""

    choice: dict[str, Any]
    recipe: Recipe

    @property
    def name(self) -> str:
        """A short name that depends on the recipe's non-default settings alone."""
        settings = self.recipe.model_dump(mode="json", exclude_defaults=True)
        digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=4).hexdigest()
        return f"{self.recipe.compression.method}-{self.recipe.domain['name']}-{self.recipe.seed}-{digest}"

    def chose(self, values: Mapping[str, Any]) -> bool:
        """Say whether the sweep chose all of these values."""
        return all(key in self.choice and self.choice[key] == value for key, value in values.items())

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that the run goes through."""
        settings = self.recipe.compression
        return METHODS[settings.method]().plan(settings, self.recipe.training.epochs, Start())

    def goes_on_from(self, other: Entry) -> bool:
        """Say whether the first phases of this run are all those of the other, bit for bit."""
        theirs = other.phases
        if len(theirs) >= len(self.phases) or self.phases[: len(theirs)] != theirs:
            return False
        target = {"sparsity": self.recipe.compression.sparsity}
        there = other.recipe.compression.model_copy(update=target)
        return other.recipe.model_copy(update={"compression": there}) == self.recipe


def entries(study: Study) -> tuple[Entry, ...]:
    """Return the runs of a study in their order, each once; every recipe is checked before any runs.

    Runs that another goes on from come before it.
    """
    found: dict[str, Entry] = {}
    for sweep in study.sweeps:
        for choice in _choices(sweep):
            table = json.loads(json.dumps(study.recipe))
            for key, value in choice.items():
                set_dotted(table, key, value)
            entry = Entry(choice, make_recipe(table))
            found.setdefault(entry.name, entry)
    ordered: dict[str, Entry] = {}
    for entry in found.values():
        for other in sorted(_stations(entry, found.values()), key=lambda one: len(one.phases)):
            ordered.setdefault(other.name, other)
        ordered.setdefault(entry.name, entry)
    return tuple(ordered.values())


def station(entry: Entry, runs: Iterable[Entry]) -> Entry | None:
    """Return the longest of the runs that this one goes on from, None where there is none."""
    return max(_stations(entry, runs), key=lambda one: len(one.phases), default=None)


def _stations(entry: Entry, runs: Iterable[Entry]) -> list[Entry]:
    return [other for other in runs if entry.goes_on_from(other)]


def _choices(sweep: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    lists = [value if isinstance(value, list) else [value] for value in sweep.values()]
    for values in itertools.product(*lists):
        yield dict(zip(sweep, values, strict=True))
