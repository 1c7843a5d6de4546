"""Fourier heatmaps of a study's cards: `fourier/RUN.json` beside the cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winninghand.base.errors import InputError, first_error
from winninghand.base.files import read_sealed, write_sealed
from winninghand.evaluation import Heatmap
from winninghand.results.schema import SCHEMA, check_schema

FOURIER = "fourier"
_MEND = "delete it to measure it again"


class _File(BaseModel):
    """What a file must hold; `errors` are the rows of the map."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    run: str
    images: int = Field(ge=1)
    seed: int
    norm: float = Field(gt=0)
    clean_error: float = Field(ge=0, le=1)
    errors: list[list[float]] = Field(min_length=1)


def write_fourier(folder: Path, run: str, heatmap: Heatmap) -> None:
    """Write the map of a run's card into a folder of results, whole or not at all."""
    write_sealed({"schema": SCHEMA, "run": run, **heatmap.to_json()}, fourier_path(folder, run))


def fourier_path(folder: Path, run: str) -> Path:
    """Return where the map of a run lies in a folder of results."""
    return folder / FOURIER / f"{run}.json"


def read_fourier(folder: Path) -> dict[str, Heatmap]:
    """Return all maps in a folder of results, by their runs; `InputError` for a damaged file."""
    return dict(_read(path) for path in sorted((folder / FOURIER).glob("[!.]*.json")))


def _read(path: Path) -> tuple[str, Heatmap]:
    table = read_sealed(path, _MEND)
    check_schema(table.get("schema"), path)
    try:
        found = _File.model_validate(table)
        errors = np.array(found.errors, np.float64)
        if errors.ndim != 2 or errors.size == 0 or errors.min() < 0 or errors.max() > 1:
            raise InputError("errors lie in 0..1")
    except ValidationError as error:
        raise InputError(f"{path} is damaged: {first_error(error)}; {_MEND}") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: its map is none; {_MEND}") from error
    return found.run, Heatmap(errors, found.clean_error, found.norm, found.images, found.seed)
