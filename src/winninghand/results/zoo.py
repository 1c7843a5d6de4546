"""What is known of a model of the zoo: the JSON file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from winninghand.base.errors import InputError, first_error
from winninghand.results.runs import Kind, RunResult
from winninghand.zoo import MODELS

Precision = Literal["32-true", "bf16-mixed"]


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
    def of(cls, run: RunResult, mce: float | None) -> Figures:
        """Return the figures of a measured model; `mce` is its mean corruption error, a ratio."""
        cells = [
            {"corruption": cell.corruption, "severity": cell.severity, "accuracy": round(cell.accuracy, 5)}
            for cell in run.cells
        ]
        return cls(
            images=run.images,
            seed=run.seed,
            batch_size=run.about.evaluation["batch_size"],
            precision=run.about.precision,  # type: ignore[arg-type]
            clean_accuracy=run.clean_accuracy,
            robust_accuracy=run.robust_accuracy,
            mce=mce,
            mean_passes=run.mean_passes,
            cells=tuple(cells),
        )


class OverSeeds(BaseModel):
    """Clean and robust accuracies of all runs that differ from the model's in their seed only.

    `images` is the number of test images that the study measured every run on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int
    seeds: tuple[int, ...]
    clean_accuracy: tuple[float, ...]
    robust_accuracy: tuple[float, ...]


class ZooRecord(BaseModel):
    """A model of the zoo.

    `full` are its figures over all test images, in bf16 where the measuring device is faster at it.
    `reference` are the figures that anyone can reproduce with `winninghand evaluate zoo:NAME --limit N`, on
    a CPU in fp32. `milliseconds` are per image, in batches of 64, on one thread of a CPU, by PyTorch; `times`
    are the same by other runtimes, `sparse` and `onnxruntime`, all measured in one run. `recipes` hold one
    recipe per card, one alone of a deck of one body.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Kind
    data: str
    bytes: int
    milliseconds: float
    times: dict[str, float] = {}
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
