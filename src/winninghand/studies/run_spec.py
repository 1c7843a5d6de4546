"""The runs that a study asks for: its sweeps, multiplied out into recipes in order of worth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from winninghand.base.errors import InputError, brief
from winninghand.compression import Phase
from winninghand.networks import check_network
from winninghand.recipe import Recipe, make_recipe, set_dotted
from winninghand.studies.protocol import PROTOCOL, under
from winninghand.studies.study import Study
from winninghand.training.identity import run_name, whole


@dataclass(frozen=True)
class RunSpec:
    """One run of a study: what the sweep chose, the recipe that results, and a name for its folder.

    `dense_epochs` says under which protocols the run counts, and how many epochs the dense network has
    that it is compared with under each; empty where the study names no protocol.
    """

    choice: dict[str, Any]
    recipe: Recipe
    dense_epochs: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def protocol(self) -> str:
        """What the epochs follow; empty where the study names none, and for a training that counts under all.

        A training of one phase is the same under all; one of several phases counts under two where the study
        asks for both dense networks: of as many epochs as a phase, and of as many as all phases.
        """
        return next(iter(self.dense_epochs)) if len(self.dense_epochs) == 1 and len(self.phases) > 1 else ""

    @cached_property
    def table(self) -> dict[str, Any]:
        """The whole recipe, defaults included, as JSON values."""
        return whole(self.recipe)

    @property
    def asked(self) -> dict[str, Any]:
        """What results say of the run that the study asks for: the values of `About` that it decides."""
        return {
            "choice": self.choice,
            "recipe": self.table,
            "protocol": self.protocol or None,
            "dense_epochs": dict(self.dense_epochs),
        }

    @cached_property
    def name(self) -> str:
        """A short name that depends on the whole recipe: see `run_name`."""
        return run_name(self.recipe, self.table)

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that the run goes through."""
        return self.recipe.compression.plan(self.recipe.training.epochs)


def chosen(study: Study, trust: bool = False) -> Iterator[RunSpec]:
    """Yield the runs of a study in its order, each once; every recipe is checked.

    Two choices are one run where they differ in what the method ignores. Where a sweep gives several values
    for such a key, none of them is set. With `trust` networks may be import paths, whose code is run.
    """
    found: dict[str, RunSpec] = {}
    networks: set[str] = set()
    for sweep in study.parsed_sweeps():
        seen: set[str] = set()
        exclude = tuple(one for one in study.exclude if one.keys() <= sweep.values.keys())
        for choice in sweep.choices(exclude):
            recipe = _recipe(study, choice)
            ignored = [key for key in choice if key in sweep.varied and not recipe.heeds(key)]
            if ignored:
                choice = {key: value for key, value in choice.items() if key not in ignored}
            told = repr(choice)
            if told in seen:
                continue
            seen.add(told)
            recipe = _recipe(study, choice) if ignored else recipe
            network = json.dumps(recipe.network, sort_keys=True, default=repr)
            if network not in networks:
                check_network(**recipe.network, trust=trust)
                networks.add(network)
            spec = _under_protocol(RunSpec(choice, recipe))
            found[spec.name] = _also(found[spec.name], spec) if spec.name in found else spec
    yield from found.values()


def _recipe(study: Study, choice: Mapping[str, Any]) -> Recipe:
    table = json.loads(json.dumps(study.recipe))
    for key, value in choice.items():
        if key != PROTOCOL:
            set_dotted(table, key, value)
    try:
        return make_recipe(table, known_network=False)
    except InputError as error:
        unquoted = next(_unquoted(choice), None)
        if unquoted is None:
            raise
        raise InputError(f"{error}; a dotted key of a sweep stands in quotes: {unquoted}") from error


def _unquoted(choice: Mapping[str, Any]) -> Iterator[str]:
    """Yield dotted keys with lists of values that TOML took for tables, as they are to be written."""
    for key, value in choice.items():
        for inner, one in value.items() if isinstance(value, Mapping) else ():
            if isinstance(one, list):
                yield f'"{key}.{inner}" = {brief(one)}'


def _under_protocol(spec: RunSpec) -> RunSpec:
    protocol = spec.choice.get(PROTOCOL, "")
    if not protocol:
        return spec
    dense_epochs = {protocol: spec.recipe.training.epochs}
    choice = spec.choice if len(spec.phases) > 1 else _without_protocol(spec.choice)
    return RunSpec(choice, under(protocol, spec.recipe), dense_epochs)


def _also(spec: RunSpec, other: RunSpec) -> RunSpec:
    """Return a run that another choice asks for, too, perhaps under another protocol."""
    if other.dense_epochs.keys() <= spec.dense_epochs.keys():
        return spec
    dense_epochs = {**spec.dense_epochs, **other.dense_epochs}
    return replace(spec, choice=_without_protocol(spec.choice), dense_epochs=dense_epochs)


def _without_protocol(choice: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in choice.items() if key != PROTOCOL}
