"""A study's file: a base recipe, sweeps over its keys, what is measured, and what is published."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    field_validator,
)

from winninghand.base.errors import InputError, first_error
from winninghand.base.files import checked_name
from winninghand.base.toml import read_toml
from winninghand.evaluation import Measurement
from winninghand.images import Preparation
from winninghand.recipe import Recipe

MOST_RUNS = 10_000


@dataclass(frozen=True)
class StudyMeasurement(Measurement):
    """What a study measures of every run: with `times` also how long an image takes, by engine and PyTorch.

    Times are none of what makes a measurement another one: runs that were measured without stay without.
    """

    times: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.times, bool):
            raise InputError(f"times is true or false, not {self.times!r}")


def _as_measurement(table: object) -> object:
    """Make a measurement of the `[evaluation]` table."""
    return StudyMeasurement.from_table(table) if isinstance(table, dict) else table


Evaluation = Annotated[InstanceOf[StudyMeasurement], BeforeValidator(_as_measurement)]


class DeckPlan(BaseModel):
    """A deck for the zoo: all cards whose choice holds these values, under a fitted gate.

    With `domains` it is a deck of one body: of these cards the best on validation images, specialized to them
    by all images that it learned from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    name: Annotated[str, AfterValidator(checked_name)]
    choice: dict[str, Any] = {}
    domains: tuple[str | dict[str, Any], ...] = Field(default=(), strict=False)
    gate: str = "weighted"
    settings: dict[str, Any] = {}


class ZooPlan(BaseModel):
    """The `[zoo]` table: how the study's models are published.

    `data` names the images wherever a figure stands. `reference` is the number of test images of the
    reproducible CPU figures. Cards whose choice holds all values of a table in `leave_out` are not
    published, though decks may hold them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    data: str
    reference: int = Field(default=1000, ge=1)
    leave_out: tuple[dict[str, Any], ...] = Field(default=(), strict=False)
    decks: tuple[DeckPlan, ...] = Field(default=(), strict=False)

    @field_validator("decks")
    @classmethod
    def _have_names_of_their_own(cls, decks: tuple[DeckPlan, ...]) -> tuple[DeckPlan, ...]:
        # In lower case: some file systems do not tell `A.deck` from `a.deck`.
        for name, count in Counter(deck.name.lower() for deck in decks).items():
            if count > 1:
                raise InputError(f"{count} decks have the name {name!r}; give each its own")
        return decks


class Study(BaseModel):
    """The file: a base recipe, and sweeps that lay values over it.

    Each table of `sweeps` maps dotted recipe keys to a value or a list of values. Lists are
    multiplied out, the last key turning fastest. The runs of the first sweep come first. The
    `[evaluation]` table says on what every card of the study is measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    title: str
    recipe: dict[str, Any] = {}
    sweeps: list[dict[str, Any]] = Field(default=[{}], min_length=1)
    evaluation: Evaluation = StudyMeasurement()
    zoo: ZooPlan | None = None

    @property
    def images(self) -> Preparation:
        """How the images of all runs are prepared: the recipe's `[images]` table."""
        return Recipe(images=self.recipe.get("images", {})).images

    @field_validator("sweeps")
    @classmethod
    def _share_their_images(cls, sweeps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for key in (key for sweep in sweeps for key in sweep if key.partition(".")[0] == "images"):
            raise InputError(
                f"{key!r} cannot be swept over, as all runs have the same images; set it in recipe"
            )
        return sweeps

    @field_validator("sweeps")
    @classmethod
    def _can_be_counted(cls, sweeps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Count the runs before they are multiplied out."""
        runs = 0
        for sweep in sweeps:
            lists = {key: value for key, value in sweep.items() if isinstance(value, list)}
            for key, value in lists.items():
                if not value:
                    raise InputError(f"{key!r} has no value to sweep over; give one, or leave the key out")
            runs += math.prod(map(len, lists.values()))
        if runs > MOST_RUNS:
            raise InputError(f"the sweeps make {runs:.3g} runs; at most {MOST_RUNS} are possible")
        return sweeps


def load_study(path: Path | str) -> Study:
    """Read a study from a TOML file; `InputError` names the first key at fault."""
    table = read_toml(path, "the study")
    if table and table.keys() <= Recipe.model_fields.keys():
        raise InputError(f"{path} is a recipe, not a study; `winninghand train` takes it")
    try:
        return Study.model_validate(table)
    except ValidationError as error:
        raise InputError(f"study: {first_error(error)}") from None
