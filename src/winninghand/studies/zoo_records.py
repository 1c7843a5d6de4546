"""What is known of a model of the zoo: the JSON file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from winninghand.base.errors import InputError, first_error
from winninghand.evaluation import RobustnessTable
from winninghand.studies.measuring import Precision
from winninghand.zoo import MODELS


class Figures(BaseModel):
    """Accuracies over all test images or a seeded sample of them, fractions.

    `mce` is the mean corruption error relative to the study's dense network, None where that makes
    no errors.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int
    seed: int
    batch_size: int
    precision: Precision = "32-true"
    clean_accuracy: float
    robust_accuracy: float
    mce: float | None
    mean_passes: float
    cells: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, table: RobustnessTable, mce: float | None, precision: Precision) -> Figures:
        """Return the figures of a table; `mce` is its mean corruption error against the dense network."""
        cells = [
            {"corruption": cell.corruption, "severity": cell.severity, "accuracy": round(cell.accuracy, 5)}
            for cell in table.cells
        ]
        return cls(
            images=len(table.clean.correct),
            seed=table.seed,
            batch_size=table.batch_size,
            precision=precision,
            clean_accuracy=table.clean_accuracy,
            robust_accuracy=table.robust_accuracy,
            mce=mce,
            mean_passes=table.mean_passes,
            cells=tuple(cells),
        )


class OverSeeds(BaseModel):
    """Clean and robust accuracies of all runs that differ from the model's in their seed only.

    They are over as many test images as the study measured every run on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int
    seeds: tuple[int, ...]
    clean_accuracy: tuple[float, ...]
    robust_accuracy: tuple[float, ...]


class ZooRecord(BaseModel):
    """A model of the zoo.

    `full` are its figures over all test images, in bf16 where the device at hand is faster at it;
    `reference` those that `winninghand evaluate zoo:NAME --limit N` is to give again, on a CPU in fp32.
    `milliseconds` are per image in batches of 64 on one thread of the CPU of the machine that measured.
    `recipes` hold one recipe per card.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["card", "deck"]
    data: str
    bytes: int
    milliseconds: float
    full: Figures
    reference: Figures
    over_seeds: OverSeeds | None = None
    gate: str | None = None
    recipes: tuple[dict[str, Any], ...]


def zoo_records(folder: Path = MODELS) -> tuple[ZooRecord, ...]:
    """Return the records of all models whose JSON files lie in a folder, by default the zoo's.

    Raises `InputError` for a file that does not fit.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(ZooRecord.model_validate_json(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            raise InputError(f"{path}: {first_error(error)}") from None
    return tuple(found)
