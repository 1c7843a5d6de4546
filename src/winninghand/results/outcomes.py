"""How runs ended that have no figures: those that failed, and those whose training diverged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from winninghand.base.errors import InputError, first_error
from winninghand.base.files import read_sealed, write_sealed

COLUMNS = {"run": "string", "attempts": "int64", "error": "string", "log": "string"}
"""The columns of `Results.failed` and `Results.diverged`."""

_NAME = "outcomes.json"
_MEND = "delete it, and what failed or diverged is tried again"


@dataclass(frozen=True)
class Outcome:
    """The end of a run without figures, after so many attempts; `log` is a path within the study's folder.

    A run that `failed` is tried again when the study is started again; one that `diverged` is done.
    """

    run: str
    kind: Literal["failed", "diverged"]
    attempts: int
    error: str
    log: str

    def row(self) -> dict[str, Any]:
        """Return the values of its columns."""
        return {key: getattr(self, key) for key in COLUMNS}


_OUTCOMES = TypeAdapter(list[Outcome])


def read_outcomes(results: Path) -> dict[str, Outcome]:
    """Return how runs ended, by their names; `InputError` where the file in this folder is damaged."""
    path = results / _NAME
    if not path.is_file():
        return {}
    try:
        found = _OUTCOMES.validate_python(read_sealed(path, _MEND).get("outcomes"))
    except ValidationError as error:
        raise InputError(f"{path} is damaged: {first_error(error)}; {_MEND}") from error
    return {one.run: one for one in found}


def write_outcomes(outcomes: Iterable[Outcome], results: Path) -> None:
    """Write how runs ended; without any there is no file."""
    rows = [asdict(one) for one in outcomes]
    if rows:
        write_sealed({"outcomes": rows}, results / _NAME)
    else:
        (results / _NAME).unlink(missing_ok=True)
