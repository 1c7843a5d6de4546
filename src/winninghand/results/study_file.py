"""The file `study.json` among a study's results: what was planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from winninghand.base.errors import InputError, first_error
from winninghand.base.files import read_sealed
from winninghand.results.schema import check_schema

FOLDER, STUDY = "results", "study.json"

_MEND = "delete it and start the study again, which writes it anew"


class _PlannedRun(BaseModel):
    model_config = ConfigDict(strict=True)

    run: str
    parent: str | None
    choice: dict[str, Any]


class _PlannedDeck(BaseModel):
    model_config = ConfigDict(strict=True)

    run: str
    cards: list[str]
    choice: dict[str, Any]


class _StudyFile(BaseModel):
    """What `study.json` must hold; a later version of the same schema may add to it."""

    model_config = ConfigDict(strict=True)

    title: str
    evaluation: dict[str, Any]
    runs: list[_PlannedRun]
    decks: list[_PlannedDeck] = []


def read_study(path: Path) -> dict[str, Any]:
    """Return what the file says; `InputError` where it is damaged or of another schema."""
    study = read_sealed(path, _MEND)
    check_schema(study.get("schema"), path)
    try:
        _StudyFile.model_validate(study)
    except ValidationError as error:
        raise InputError(f"{path} is damaged: {first_error(error)}; {_MEND}") from error
    return study
