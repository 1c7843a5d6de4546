"""The runs that a study asks for: its sweeps, multiplied out into recipes in order of worth."""

from __future__ import annotations

import itertools
import json
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

    def extends(self, other: RunSpec) -> bool:
        """Say whether the first phases of this run are all those of the other, bit for bit."""
        theirs = other.phases
        if len(theirs) >= len(self.phases) or self.phases[: len(theirs)] != theirs:
            return False
        target = {"sparsity": self.recipe.compression.sparsity}
        there = other.recipe.compression.model_copy(update=target)
        return other.recipe.model_copy(update={"compression": there}) == self.recipe


def run_specs(study: Study) -> tuple[RunSpec, ...]:
    """Return the runs of a study in their order, each once; every recipe is checked before any runs.

    A run comes after those that it extends.
    """
    found: dict[str, RunSpec] = {}
    for sweep in study.sweeps:
        for choice in _choices(sweep):
            table = json.loads(json.dumps(study.recipe))
            for key, value in choice.items():
                set_dotted(table, key, value)
            spec = RunSpec(choice, make_recipe(table))
            found.setdefault(spec.name, spec)
    ordered: dict[str, RunSpec] = {}
    for spec in found.values():
        for other in sorted(_extended(spec, found.values()), key=lambda one: len(one.phases)):
            ordered.setdefault(other.name, other)
        ordered.setdefault(spec.name, spec)
    return tuple(ordered.values())


def parent_of(spec: RunSpec, specs: Iterable[RunSpec]) -> RunSpec | None:
    """Return the longest run that this one extends, None where there is none."""
    return max(_extended(spec, specs), key=lambda one: len(one.phases), default=None)


def _extended(spec: RunSpec, specs: Iterable[RunSpec]) -> list[RunSpec]:
    return [other for other in specs if spec.extends(other)]


def _choices(sweep: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    lists = [value if isinstance(value, list) else [value] for value in sweep.values()]
    for values in itertools.product(*lists):
        yield dict(zip(sweep, values, strict=True))
