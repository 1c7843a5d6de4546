"""A study's file: a base recipe, sweeps over its keys, what is measured, and what is published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    field_validator,
    model_validator,
)

from winninghand.base.errors import InputError, first_error
from winninghand.base.registry import nearest
from winninghand.base.toml import read_toml
from winninghand.evaluation import Measurement
from winninghand.images import Preparation
from winninghand.recipe import Recipe
from winninghand.studies.deck_plan import DeckPlan, check_names, from_zoo
from winninghand.studies.protocol import PROTOCOL, PROTOCOLS
from winninghand.studies.sweeps import Sweep, check_conditions

MOST_RUNS = 100_000
"""More choices than these are made only where somebody says so."""
_COUNTED = 10**9


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


class ZooPlan(BaseModel):
    """The `[zoo]` table: how the study's models are published.

    `data` names the images wherever a figure stands. `reference` is the number of test images of the
    reproducible CPU figures. Cards whose choice meets a condition of `leave_out` are not published, though
    decks may hold them. `decks` names the decks of the study that are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    data: str
    reference: int = Field(default=1000, ge=1)
    leave_out: tuple[dict[str, Any], ...] = Field(default=(), strict=False)
    decks: tuple[str, ...] = Field(default=(), strict=False)


class ReportPlan(BaseModel):
    """The `[report]` table: what is measured for the report alone.

    `fourier` asks for Fourier heatmaps of the cards of all runs whose choice meets one of its conditions,
    over `fourier_limit` test images, with basis images of the norm `fourier_norm` added; without it the norm
    is that of `fourier_heatmap`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    fourier: tuple[dict[str, Any], ...] = Field(default=(), strict=False)
    fourier_limit: int = Field(default=200, ge=1)
    fourier_norm: float | None = Field(default=None, gt=0, le=1e6)


class Study(BaseModel):
    """The file: a base recipe, and sweeps that lay values over it.

    Each table of `sweeps` maps dotted recipe keys to a value or a list of values. Lists are multiplied out,
    the last key turning fastest. The runs of the first sweep come first. Its keys `exclude` and `when` say
    what is left out: see `Sweep`. The study's own `exclude` holds for all sweeps that have its keys. The
    `protocol`, one or several, says what is held equal: see `studies.protocol`. `decks` are made of its
    cards: see `DeckPlan`. The `[evaluation]` table says on what every card and deck is measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    title: str
    protocol: list[str] = []
    recipe: dict[str, Any] = {}
    exclude: list[dict[str, Any]] = []
    sweeps: list[dict[str, Any]] = Field(default=[{}], min_length=1)
    decks: list[DeckPlan] = []
    evaluation: Evaluation = StudyMeasurement()
    zoo: ZooPlan | None = None
    report: ReportPlan | None = None

    @property
    def images(self) -> Preparation:
        """How the images of all runs are prepared: the recipe's `[images]` table."""
        return Recipe(images=self.recipe.get("images", {})).images

    def parsed_sweeps(self) -> list[Sweep]:
        """Return the sweeps, the protocols as the first key of each."""
        protocol = {PROTOCOL: self.protocol} if self.protocol else {}
        return [Sweep.of({**protocol, **table}) for table in self.sweeps]

    def check_number(self, yes: bool = False) -> None:
        """Raise `InputError` for more than `MOST_RUNS` choices, counted before they are multiplied out."""
        choices = sum(sweep.number for sweep in self.parsed_sweeps())
        if choices > MOST_RUNS and not yes:
            many = f"{choices:,}" if choices < _COUNTED else "billions of"
            raise InputError(
                f"the sweeps make {many} choices; more than {MOST_RUNS:,} are planned only with --yes"
            )

    @model_validator(mode="before")
    @classmethod
    def _decks_stand_beside_the_zoo(cls, table: Any) -> Any:  # noqa: ANN401 (checked afterwards)
        return from_zoo(table)

    @field_validator("protocol", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:  # noqa: ANN401 (checked afterwards)
        names = [value] if isinstance(value, str) else value
        if names == []:
            raise InputError("protocol has no value; give one, or leave it out")
        for name in names if isinstance(names, list) else []:
            if name not in PROTOCOLS:
                raise InputError(f"unknown protocol {name!r}; {nearest(name, PROTOCOLS)}")
        return names

    @field_validator("sweeps")
    @classmethod
    def _share_their_images(cls, sweeps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for key in (key for sweep in sweeps for key in sweep if key.partition(".")[0] == "images"):
            raise InputError(
                f"{key!r} cannot be swept over, as all runs have the same images; set it in recipe"
            )
        return sweeps

    @model_validator(mode="after")
    def _sweeps_are_sound(self) -> Study:
        for table in self.sweeps:
            if PROTOCOL in table:
                raise InputError(
                    "protocol stands beside the sweeps, not in one; move it to the top of the file"
                )
        sweeps = self.parsed_sweeps()
        values: dict[str, list[Any]] = {}
        for sweep in sweeps:
            for key, several in sweep.values.items():
                values.setdefault(key, []).extend(several)
        check_conditions(self.exclude, values)
        for condition in self.exclude:
            if not any(condition.keys() <= sweep.values.keys() for sweep in sweeps):
                together = " and ".join(map(repr, condition))
                raise InputError(f"exclude names {together}, which no sweep has together; mend it")
        for deck in self.decks:
            deck.check(values)
        if self.report is not None:
            check_conditions(self.report.fourier, values, "report.fourier")
        if self.zoo is not None:
            check_conditions(self.zoo.leave_out, values, "zoo.leave_out")
        check_names(deck.name for deck in self.decks)
        self._check_zoo_decks()
        return self

    def _check_zoo_decks(self) -> None:
        known = {deck.name: deck for deck in self.decks}
        for name in () if self.zoo is None else self.zoo.decks:
            if name not in known:
                raise InputError(f"zoo.decks names {name!r}, which is no deck; {nearest(name, [*known])}")
            if known[name].seeds == "each":
                raise InputError(f'the zoo takes one deck of a name; give {name!r} seeds = "together"')


def load_study(path: Path | str) -> Study:
    """Read a study from a TOML file; `InputError` names the first key at fault."""
    table = read_toml(path, "the study")
    if table and table.keys() <= Recipe.model_fields.keys():
        raise InputError(f"{path} is a recipe, not a study; `winninghand train` takes it")
    try:
        return Study.model_validate(table)
    except ValidationError as error:
        raise InputError(f"study: {first_error(error)}") from None
