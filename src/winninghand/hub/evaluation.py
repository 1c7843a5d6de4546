"""How a model fared, as `winninghand evaluate --json` writes it, in the words of the hub's metadata."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winninghand.base.errors import InputError, counted, first_error
from winninghand.base.files import regular
from winninghand.hub.address import PREFIX

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

Fraction = Annotated[float, Field(ge=0, le=1)]
_TASK = "image-classification"
_LARGEST = 1 << 26


@runtime_checkable
class Table(Protocol):
    """What gives its figures as plain values: the table of `winninghand.evaluate`."""

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values."""


Results: TypeAlias = Table | Mapping[str, Any] | Path | str
"""The table of `winninghand.evaluate`, its `to_json()`, or the file of `winninghand evaluate --json`."""


class Cell(BaseModel):
    """Accuracy, a fraction, under one corruption at one severity."""

    model_config = ConfigDict(frozen=True)

    corruption: Annotated[str, Field(max_length=100)]
    severity: Annotated[int, Field(ge=1, le=5)]
    accuracy: Fraction


class Evaluation(BaseModel):
    """Accuracies, fractions, on so many test images of the image set `data`."""

    model_config = ConfigDict(frozen=True)

    data: Annotated[str, Field(min_length=1, max_length=200)]
    images: Annotated[int, Field(ge=1)]
    seed: int = 0
    clean_accuracy: Fraction
    robust_accuracy: Fraction | None = None
    mean_passes: Annotated[float, Field(ge=0)] = 1.0
    adaptation: float | None = None
    order: Annotated[str, Field(max_length=100)] = "cells"
    precision: Annotated[str, Field(max_length=100)] | None = None
    missing: dict[str, str] = {}
    cells: tuple[Cell, ...] = ()
    model_digest: str | None = None
    winninghand: Annotated[str, Field(max_length=100)] | None = None

    @property
    def corruptions(self) -> dict[str, float]:
        """Accuracy by corruption, a mean over its severities."""
        found: dict[str, list[float]] = defaultdict(list)
        for cell in self.cells:
            found[cell.corruption].append(cell.accuracy)
        return {name: fmean(values) for name, values in found.items()}

    @property
    def robust_means(self) -> str:
        """What the robust accuracy is a mean over, in words."""
        severities = sorted({cell.severity for cell in self.cells})
        whole = len(severities) > 2 and severities == list(range(severities[0], severities[-1] + 1))
        levels = f"{severities[0]}-{severities[-1]}" if whole else ", ".join(map(str, severities))
        at = f"severity {levels}" if len(severities) == 1 else f"severities {levels}"
        return f"{counted(len(self.corruptions), 'corruption')} at {at}"

    @property
    def conditions(self) -> str:
        """How it was measured, in words."""
        words = [counted(self.images, "test image"), f"seed {self.seed}"]
        words += [f"order {self.order}"] if self.order != "cells" else []
        words += [f"batch norms adapted (prior {self.adaptation:g})"] if self.adaptation is not None else []
        words += [f"precision {self.precision}"] if self.precision else []
        words += [f"winninghand {self.winninghand}"] if self.winninghand else []
        return ", ".join(words)


def evaluation_of(results: Results, data: str | None, digest: str | None) -> Evaluation:
    """Return checked figures; `data` names the images where the results do not, as a table's do not.

    `digest` is that of the model's file, by BLAKE2b in 16 hexadecimal digits, as `winninghand evaluate`
    writes it. Raises `InputError` for what holds no such figures, for images without a name, and for
    figures of another model.
    """
    where = results if isinstance(results, str | PathLike) else "the results"
    document: Any = results
    if isinstance(results, str | PathLike):
        document = _read(Path(results))
    elif isinstance(results, Table):
        document = results.to_json()
    if not isinstance(document, Mapping) or "clean_accuracy" not in document:
        raise InputError(f"{where}: no table of accuracies; give what 'winninghand evaluate --json' writes")
    document = {**document, "data": document.get("data") or data}
    if document["data"] is None:
        raise InputError(f"{where}: the images have no name; give it as data")
    try:
        found = Evaluation.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{where}: {first_error(error)}") from None
    if digest is not None and found.model_digest not in (None, digest):
        raise InputError(
            f"{where}: figures of another model, whose digest is {found.model_digest} and not {digest}; "
            "evaluate this one"
        )
    return found


def eval_results(found: Evaluation) -> list[EvalResult]:
    """Return the figures as the hub's metadata holds them."""
    results = [_result(found, "Clean accuracy", found.clean_accuracy)]
    if found.robust_accuracy is not None:
        # The hub takes results of the same configuration for those of the same images.
        results.append(_result(found, "Robust accuracy", found.robust_accuracy, found.robust_means))
    return results


def own_results(accuracies: Mapping[str, float], data: str) -> list[EvalResult]:
    """Return a card's own accuracies, on images whose number it does not know."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type=_TASK,
            dataset_type=_dataset(data),
            dataset_name=data,
            dataset_split=split,
            metric_type="accuracy",
            metric_name=f"Accuracy ({split})",
            metric_value=round(value, 5),
        )
        for split, value in accuracies.items()
    ]


def _result(found: Evaluation, metric: str, value: float, changes: str | None = None) -> EvalResult:
    from huggingface_hub import EvalResult

    return EvalResult(
        task_type=_TASK,
        task_name="Image classification",
        dataset_type=_dataset(found.data),
        dataset_name=f"{found.data}, {changes}" if changes else found.data,
        dataset_config=changes,
        dataset_split="test",
        dataset_args={"images": found.images, "seed": found.seed},
        metric_type="accuracy",
        metric_name=metric,
        metric_value=round(value, 5),
    )


def _dataset(data: str) -> str:
    """Return the identifier by which the hub groups results of one image set."""
    return data.removeprefix(PREFIX)


def _read(path: Path) -> object:
    try:
        with regular(path).open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise InputError(f"{path}: it has more than {_LARGEST:,} bytes; give a table of accuracies")
        return json.loads(content)
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise InputError(
            f"cannot read {path}: {reason}; give what 'winninghand evaluate --json' writes"
        ) from None
