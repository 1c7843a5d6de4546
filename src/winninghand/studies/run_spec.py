"""The runs that a study asks for: its sweeps, multiplied out into recipes in order of worth."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from winninghand.compression import Phase
from winninghand.recipe import Recipe, make_recipe, set_dotted
from winninghand.studies.study import Study
from winninghand.training.identity import run_name


@dataclass(frozen=True)
class RunSpec:
    """One run of a study: what the sweep chose, the recipe that results, and a name for its folder."""

    choice: dict[str, Any]
    recipe: Recipe

    @cached_property
    def name(self) -> str:
        """A short name that depends on the whole recipe: see `run_name`."""
        return run_name(self.recipe)

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that the run goes through."""
        return self.recipe.compression.plan(self.recipe.training.epochs)

    @cached_property
    def without_sparsity(self) -> str:
        """The recipe but for its sparsity: what runs that extend each other have in common."""
        table = self.recipe.model_dump(mode="json")
        del table["compression"]["sparsity"]
        return json.dumps(table, sort_keys=True)

    def extends(self, other: RunSpec) -> bool:
        """Say whether the first phases of this run are all those of the other, bit for bit."""
        theirs = other.phases
        if len(theirs) >= len(self.phases) or self.phases[: len(theirs)] != theirs:
            return False
        target = {"sparsity": self.recipe.compression.sparsity}
        there = other.recipe.compression.model_copy(update=target)
        return other.recipe.model_copy(update={"compression": there}) == self.recipe


def run_specs(study: Study, trust: bool = False) -> tuple[RunSpec, ...]:
    """Return the runs of a study in their order, each once; every recipe is checked before any runs.

    A run comes after those that it extends. With `trust` networks may be import paths, whose code is run.
    """
    found: dict[str, RunSpec] = {}
    for sweep in study.sweeps:
        for choice in _choices(sweep):
            table = json.loads(json.dumps(study.recipe))
            for key, value in choice.items():
                set_dotted(table, key, value)
            spec = RunSpec(choice, make_recipe(table, trust=trust))
            found.setdefault(spec.name, spec)
    extended = _extended(found.values())
    ordered: dict[str, RunSpec] = {}
    for spec in found.values():
        for other in extended[spec.name]:
            ordered.setdefault(other.name, other)
        ordered.setdefault(spec.name, spec)
    return tuple(ordered.values())


def parents(specs: Iterable[RunSpec]) -> dict[str, RunSpec | None]:
    """Return for each run, by its name, the longest of the runs that it extends; None where there is none."""
    return {name: others[-1] if others else None for name, others in _extended(specs).items()}


def parent_of(spec: RunSpec, specs: Iterable[RunSpec]) -> RunSpec | None:
    """Return the longest run that this one extends, None where there is none."""
    return parents((*specs, spec))[spec.name]


def _extended(specs: Iterable[RunSpec]) -> dict[str, list[RunSpec]]:
    """Return for each run, by its name, the runs that it extends, the shortest first."""
    groups: dict[str, list[RunSpec]] = defaultdict(list)
    for spec in specs:
        groups[spec.without_sparsity].append(spec)
    return {
        spec.name: sorted(filter(spec.extends, group), key=lambda one: len(one.phases))
        for group in groups.values()
        for spec in group
    }


def _choices(sweep: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    lists = [value if isinstance(value, list) else [value] for value in sweep.values()]
    for values in itertools.product(*lists):
        yield dict(zip(sweep, values, strict=True))
