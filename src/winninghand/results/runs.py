"""A run as the results know it: what it was, what it took, and what was measured of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from winninghand.base import errors
from winninghand.base.errors import InputError, first_error
from winninghand.evaluation import CLEAN, Cell, Measured
from winninghand.evaluation.table import check_each_once

Kind = Literal["card", "deck"]
MeasuredOn = Literal["study", "all", "reference"]
Choice = tuple[tuple[str, str], ...]

_TABLES = ("evaluation", "choice", "recipe", "versions", "dense_epochs")


class _Evaluation(BaseModel):
    """What `evaluation` holds at least."""

    model_config = ConfigDict(strict=True)

    seed: int
    batch_size: int


class _Compression(BaseModel):
    model_config = ConfigDict(strict=True)

    method: str
    sparsity: float


class _Domain(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str


class _Recipe(BaseModel):
    """What `recipe` holds at least; the whole is checked where a recipe is made of it."""

    model_config = ConfigDict(strict=True)

    seed: int
    compression: _Compression
    domain: _Domain


@dataclass(frozen=True)
class CellResult:
    """One cell: its place, its figures as fractions, and which images were answered rightly, bool (N,).

    `weights` is the mean weight in [0, 1] that a deck's gate gave each of its cards; None of anything else,
    and where it was not kept.
    """

    corruption: str
    severity: int
    source: str
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    expected_calibration_error: float
    rms_calibration_error: float
    mean_passes: float
    correct: npt.NDArray[np.bool_] = field(repr=False)
    weights: tuple[float, ...] | None = None

    @classmethod
    def of(cls, cell: Cell) -> Self:
        """Return the result of a cell that was just measured."""
        return cls(**cell.row(), correct=cell.correct, weights=cell.outcome.mean_weights)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the cell of a row."""
        values = {one.name: row[one.name] for one in fields(cls)}
        weights = None if row["weights"] is None else tuple(row["weights"])
        return cls(**{**values, "correct": unpacked(row["correct"], row["images"]), "weights": weights})

    def row(self) -> dict[str, Any]:
        """Return the values of the cell's columns; which images were answered rightly is packed into bits."""
        packed = np.packbits(self.correct).tobytes()
        return {**vars(self), "images": len(self.correct), "correct": packed}


@dataclass(frozen=True)
class About:
    """What a run was and what it took: what all of its rows say.

    `kind` is `card` or `deck`. `members` are, of a deck, the runs of its cards; of a published card, all
    runs that differ from it in their seed only. `measured_on` is `study` for the test images that the study
    measures every run on, `all` for all of them, and `reference` for the sample on which anyone can
    reproduce the figures on a CPU. `evaluation` holds corruptions, severities, limit, seed and batch size;
    `data_digest` stands for all images of `data`. `choice` is what the sweep chose, of a
    deck its gate and settings, `recipe` the whole recipe, `parent` the run whose checkpoint it went on from.

    `digest` stands for the file of the card or deck, of `bytes`; `parameters` counts those that are zero
    too. `seconds` and `epochs` are those of its own training, without its parent's. The accuracies are
    fractions: `last_validation_accuracy` is that of the last epoch, before weights were quantized; the other
    two are the card's. `commit` is that of this library's source, where it lies in a repository.

    `protocol` says how long the phases were, of a study that holds that equal; None of a training that counts
    under several, such as one of one phase, and of decks of such. `dense_epochs` says for each of these how
    many epochs the dense network has that the card is compared with. `gate` says by what a deck chooses.
    `nonzero` counts parameters that are not zero. `macs` are the multiply-accumulates for one image, of a
    deck those of all its cards, and `nonzero_macs` those of weights that are not zero.
    `macs_trained` are those of the run's own training, zeros included, as PyTorch multiplies by them too:
    3 × `macs` (once forward, twice backward) × images × views × epochs. `milliseconds_sparse` and
    `milliseconds_torch` are per image, by the engine and by PyTorch, of studies that ask for times.
    """

    run: str
    kind: Kind
    measured_on: MeasuredOn
    data: str
    evaluation: dict[str, Any]
    data_digest: str | None = None
    members: tuple[str, ...] = ()
    choice: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] | None = None
    parent: str | None = None
    digest: str | None = None
    bytes: int | None = None
    parameters: int | None = None
    seconds: float | None = None
    epochs: int | None = None
    last_validation_accuracy: float | None = None
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    commit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    machine: str | None = None
    threads: int | None = None
    device: str | None = None
    precision: str | None = None
    protocol: str | None = None
    dense_epochs: dict[str, int] | None = None
    gate: str | None = None
    nonzero: int | None = None
    macs: int | None = None
    nonzero_macs: int | None = None
    macs_trained: int | None = None
    milliseconds_sparse: float | None = None
    milliseconds_torch: float | None = None

    @property
    def seed(self) -> int | None:
        """The recipe's seed; None for a deck."""
        return None if self.recipe is None else int(self.recipe["seed"])

    @property
    def method(self) -> str | None:
        """The recipe's method; None for a deck."""
        return None if self.recipe is None else str(self.recipe["compression"]["method"])

    @property
    def sparsity(self) -> float | None:
        """The sparsity that the recipe asks for, 0 of a dense network; None for a deck."""
        if self.recipe is None:
            return None
        return 0.0 if self.method == "dense" else float(self.recipe["compression"]["sparsity"])

    @property
    def domain(self) -> str | None:
        """The recipe's domain; None for a deck."""
        return None if self.recipe is None else str(self.recipe["domain"]["name"])

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return what a row says of its run; raise `InputError` where that is not of the right types."""
        values = {one.name: row[one.name] for one in fields(cls)} | {"members": tuple(row["members"] or ())}
        try:
            for key in _TABLES:
                values[key] = None if values[key] is None else json.loads(values[key])
            _about().validate_python(values)
            _Evaluation.model_validate(values["evaluation"])
            if values["recipe"] is not None:
                _Recipe.model_validate(values["recipe"])
        except (ValueError, RecursionError) as error:  # those of JSON and of pydantic are of these kinds
            why = first_error(error) if isinstance(error, ValidationError) else str(error)
            raise InputError(f"the results of {errors.shown(row['run'])} are damaged: {why}") from error
        return cls(**values)

    def row(self) -> dict[str, Any]:
        """Return the values of the run's columns; tables are JSON text."""
        values: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        for key in _TABLES:
            values[key] = None if values[key] is None else json.dumps(values[key])
        derived = {key: getattr(self, key) for key in ("seed", "method", "sparsity", "domain")}
        return {**values, **derived, "members": list(self.members)}


@lru_cache
def _about() -> TypeAdapter[About]:
    return TypeAdapter(About)


@dataclass(frozen=True)
class RunResult(Measured):
    """A finished run: what it was, its figures on the clean images, and those of all other cells."""

    about: About
    clean: CellResult
    cells: tuple[CellResult, ...]

    @classmethod
    def of(cls, about: About, cells: Iterable[CellResult]) -> Self:
        """Put a run together; raise `InputError` unless the clean cell comes first and each comes once."""
        clean, *others = cells
        if clean.corruption != CLEAN:
            raise InputError(f"{about.run} lacks the figures of its clean images; measure it again")
        check_each_once(others)
        return cls(about, clean, tuple(others))

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """Return the run of these rows, the clean one first."""
        rows = list(rows)
        return cls.of(About.from_row(rows[0]), map(CellResult.from_row, rows))

    @property
    def name(self) -> str:
        """The run's name."""
        return self.about.run

    @property
    def seed(self) -> int:  # type: ignore[override]
        """The seed of the sample and of the corruptions."""
        return int(self.about.evaluation["seed"])

    @property
    def images(self) -> int:
        """How many images it was measured on."""
        return len(self.clean.correct)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per cell, the clean one first."""
        return [{**self.about.row(), **cell.row()} for cell in (self.clean, *self.cells)]


def check_same_corruptions(runs: Iterable[RunResult]) -> None:
    """Raise `InputError` where runs that are compared were measured under different corruptions.

    Of a group, such as `common`, a machine measures what it has: without the photographs, no frost.
    """
    runs = list(runs)
    known = dict.fromkeys(name for run in runs for name in run.corruptions)
    for run in runs:
        lacking = known.keys() - set(run.corruptions)
        if lacking:
            names = ", ".join(sorted(lacking))
            raise InputError(
                f"{run.name} was measured without {names}, other runs of the study with it; "
                "name in [evaluation] the corruptions that every machine has: the cards are measured anew"
            )


def unpacked(correct: bytes, images: int) -> npt.NDArray[np.bool_]:
    """Return which of so many images were answered rightly, bool (N,), from the column `correct`."""
    return np.unpackbits(np.frombuffer(correct, np.uint8), count=images).astype(bool)


def by_choice(runs: Iterable[RunResult]) -> dict[Choice, list[RunResult]]:
    """Return the runs by what was chosen for them, seeds taken together."""
    groups: dict[Choice, list[RunResult]] = defaultdict(list)
    for run in runs:
        choice = tuple((key, shown(value)) for key, value in run.about.choice.items() if key != "seed")
        groups[choice].append(run)
    return groups


def shown(value: object) -> str:
    """Return a chosen value as text: of a table with a name that name, any other value as it is."""
    return str(value["name"]) if isinstance(value, dict) and "name" in value else str(value)
