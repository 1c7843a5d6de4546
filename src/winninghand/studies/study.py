"""A study: lists over recipe keys, multiplied out into recipes in order of worth."""

from __future__ import annotations

import hashlib
import itertools
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winninghand.compression import METHODS, Phase, Start
from winninghand.errors import InputError, first_complaint
from winninghand.recipe import Recipe, lay_over, make_recipe


class Measuring(BaseModel):
    """The `[evaluation]` table: on what every card of the study is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    corruptions: str = "common"
    severities: tuple[int, ...] = Field(default=(1, 2, 3, 4, 5), strict=False)
    limit: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)


class DeckPlan(BaseModel):
    """A deck for the zoo: all cards whose choice holds these values, under a fitted gate."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    choice: dict[str, Any] = {}
    gate: str = "weighted"
    settings: dict[str, Any] = {}


class ZooPlan(BaseModel):
    """The `[zoo]` table: how the study's models are published.

    `data` names the images wherever a figure stands; `reference` is how many of them figures to be
    given again are measured on. Cards whose choice holds all values of a table in `leave_out` are not
    published, though decks may hold them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    data: str
    reference: int = Field(default=1000, ge=1)
    leave_out: tuple[dict[str, Any], ...] = Field(default=(), strict=False)
    decks: tuple[DeckPlan, ...] = Field(default=(), strict=False)


class Study(BaseModel):
    """The file: a base recipe, and sweeps that lay values over it.

    Each table of `sweeps` maps dotted recipe keys to a value or a list of values; lists are
    multiplied out, the last key turning fastest. The sweeps are worked through in order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    title: str
    recipe: dict[str, Any] = {}
    sweeps: list[dict[str, Any]] = Field(default=[{}], min_length=1)
    evaluation: Measuring = Measuring()
    zoo: ZooPlan | None = None


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
        return METHODS[settings.method].plan(settings, self.recipe.training.epochs, Start())

    def goes_on_from(self, other: Entry) -> bool:
        """Say whether the first phases of this run are all those of the other, bit for bit."""
        theirs = other.phases
        if len(theirs) >= len(self.phases) or self.phases[: len(theirs)] != theirs:
            return False
        target = {"sparsity": self.recipe.compression.sparsity}
        there = other.recipe.compression.model_copy(update=target)
        return other.recipe.model_copy(update={"compression": there}) == self.recipe


def load_study(path: Path | str) -> Study:
    """Read a study from a TOML file; `InputError` names the first key at fault."""
    try:
        return Study.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the study {path}: {error}") from error
    except ValidationError as error:
        raise InputError(f"study: {first_complaint(error)}") from None


def entries(study: Study) -> tuple[Entry, ...]:
    """Return the runs of a study in their order, each once; every recipe is checked before any runs.

    Runs that another goes on from come before it.
    """
    found: dict[str, Entry] = {}
    for sweep in study.sweeps:
        for choice in _choices(sweep):
            table = json.loads(json.dumps(study.recipe))
            for key, value in choice.items():
                lay_over(table, key, value)
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
