"""A run that is done, and what stays known of its card where the file is deleted to save space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from winninghand.base.errors import InputError, first_error
from winninghand.base.files import atomic_write
from winninghand.evaluation import RobustnessTable
from winninghand.studies.entries import Entry


class CardRecord(BaseModel):
    """A card's size in bytes and its accuracies, fractions by what they were measured on: `card.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    bytes: int
    accuracies: dict[str, float]


@dataclass(frozen=True)
class Finished:
    """A run that is done: its entry, its folder, its card's record and what was measured of it."""

    entry: Entry
    folder: Path
    record: CardRecord
    table: RobustnessTable

    @property
    def card(self) -> Path:
        """Where the card lies, unless it was deleted."""
        return card_in(self.folder)


def card_in(folder: Path) -> Path:
    """Return where the card of the run in a folder lies once it is trained."""
    return folder / "card.card"


def is_trained(folder: Path) -> bool:
    """Say whether the run in a folder has a card, or had one."""
    return card_in(folder).exists() or _record_in(folder).exists()


def kept_record(folder: Path) -> CardRecord | None:
    """Return what is known of the card of the run in a folder, None before it is measured.

    Raises `InputError` for a damaged record.
    """
    path = _record_in(folder)
    if not path.exists():
        return None
    try:
        return CardRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(f"{path}: {first_error(error)}; delete the folder to start again") from None


def keep_record(record: CardRecord, folder: Path) -> None:
    """Write what is known of the card of the run in a folder."""
    with atomic_write(_record_in(folder)) as tmp:
        tmp.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _record_in(folder: Path) -> Path:
    return folder / "card.json"
