"""A study's file: a base recipe, sweeps over its keys, what is measured, and what is published."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winninghand.base.errors import InputError, first_error


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


def load_study(path: Path | str) -> Study:
    """Read a study from a TOML file; `InputError` names the first key at fault."""
    try:
        return Study.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the study {path}: {error}") from error
    except ValidationError as error:
        raise InputError(f"study: {first_error(error)}") from None
