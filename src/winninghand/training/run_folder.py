"""The folder of one run: which run it is, its checkpoint, its metrics, its card."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from winninghand.errors import InputError
from winninghand.files import written_whole

Row = dict[str, float | int]


class RunFolder:
    """Files of a run under one path, all of them written whole.

    `identity` is what makes a run this run: recipe and data, as JSON values. A folder that holds
    a run of another identity is refused with `InputError`; a new one is created.
    """

    def __init__(self, path: Path | str, identity: Mapping[str, Any]) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file; give a folder for the run")
        self._check_identity(json.loads(json.dumps(identity)))
        for leftover in self.path.glob(".*.*"):
            # A kill in the middle of a write leaves the unfinished file under such a name.
            if leftover.name.startswith((".checkpoint.pt.", ".metrics.csv.", ".card.card.", ".run.json.")):
                leftover.unlink()

    @property
    def card(self) -> Path:
        """Where the finished card lies."""
        return self.path / "card.card"

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint."""
        with written_whole(self.path / "checkpoint.pt") as aside:
            torch.save(dict(state), aside)

    def load_checkpoint(self, device: torch.device) -> dict[str, Any] | None:
        """Return the last checkpoint, None before the first. Only tensors and plain values are read."""
        path = self.path / "checkpoint.pt"
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        except Exception as error:  # torch.load has no one exception for a damaged file
            raise InputError(
                f"cannot read the checkpoint {path} ({type(error).__name__}); delete it to start again"
            ) from error
        return state

    def write_metrics(self, rows: Sequence[Row]) -> None:
        """Write `metrics.csv`, one row per epoch."""
        with written_whole(self.path / "metrics.csv") as aside, aside.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def _check_identity(self, identity: dict[str, Any]) -> None:
        path = self.path / "run.json"
        if path.exists():
            try:
                present = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(f"{path} is damaged; delete the folder or give another one") from error
            if present != identity:
                raise InputError(
                    f"{self.path} holds another run ({_first_difference(present, identity)}); "
                    "give another folder"
                )
        else:
            with written_whole(path) as aside:
                aside.write_text(json.dumps(identity, indent=1), encoding="utf-8")


def _first_difference(present: Any, asked: Any, path: str = "") -> str:  # noqa: ANN401 (any JSON)
    """Name the first key in which two JSON values differ, with both values."""
    if isinstance(present, dict) and isinstance(asked, dict):
        for key in sorted(present.keys() | asked.keys()):
            if present.get(key) != asked.get(key):
                inner = f"{path}.{key}" if path else key
                return _first_difference(present.get(key), asked.get(key), inner)
    return f"{path} is {json.dumps(present)} there and {json.dumps(asked)} here"
