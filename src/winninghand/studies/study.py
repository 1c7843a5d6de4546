"""A study's file: a base recipe, sweeps over its keys, what is measured, and what is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, ValidationError

from winninghand.base.errors import InputError, first_error
from winninghand.base.toml import read_toml
from winninghand.evaluation import Measurement


def _as_measurement(table: object) -> object:
    """Make a measurement of the `[evaluation]` table."""
    return Measurement.from_table(table) if isinstance(table, dict) else table


Evaluation = Annotated[InstanceOf[Measurement], BeforeValidator(_as_measurement)]


class DeckPlan(BaseModel):
    """A deck for the zoo: all cards whose choice holds these values, under a fitted gate."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    name: str
    choice: dict[str, Any] = {}
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
    evaluation: Evaluation = Measurement()
    zoo: ZooPlan | None = None


def load_study(path: Path | str) -> Study:
    """Read a study from a TOML file; `InputError` names the first key at fault."""
    try:
        return Study.model_validate(read_toml(path, "the study"))
    except ValidationError as error:
        raise InputError(f"study: {first_error(error)}") from None
