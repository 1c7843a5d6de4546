"""The folder of one run: which run it is, its checkpoint, its metrics, its card."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write

Row = dict[str, float | int]

_UNFINISHED = (".checkpoint.pt.", ".rewind.pt.", ".metrics.csv.", ".card.card.", ".run.json.")


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
            if leftover.name.startswith(_UNFINISHED):
                leftover.unlink()

    @property
    def card(self) -> Path:
        """Where the finished card lies."""
        return self.path / "card.card"

    @property
    def checkpoint(self) -> Path:
        """Where the last checkpoint lies."""
        return self.path / "checkpoint.pt"

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint."""
        with atomic_write(self.checkpoint) as tmp:
            torch.save(dict(state), tmp)

    def load_checkpoint(self, device: torch.device) -> dict[str, Any] | None:
        """Return the last checkpoint, None before the first. Only tensors and plain values are read."""
        return self._load(self.checkpoint, device)

    def save_rewind(self, state: Mapping[str, Any]) -> None:
        """Keep the network's state that later phases go back to."""
        with atomic_write(self.path / "rewind.pt") as tmp:
            torch.save(dict(state), tmp)

    def load_rewind(self, device: torch.device) -> dict[str, Any]:
        """Return the state that `save_rewind` kept."""
        state = self._load(self.path / "rewind.pt", device)
        if state is None:
            raise InputError(f"{self.path / 'rewind.pt'} is missing; delete the folder to start again")
        return state

    def write_metrics(self, rows: Sequence[Row]) -> None:
        """Write `metrics.csv`, one row per epoch."""
        with atomic_write(self.path / "metrics.csv") as tmp, tmp.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)

    def _load(self, path: Path, device: torch.device) -> dict[str, Any] | None:
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        except Exception as error:  # torch.load has no one exception for a damaged file
            raise InputError(
                f"cannot read {path} ({type(error).__name__}); delete the folder to start again"
            ) from error
        return state

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
            with atomic_write(path) as tmp:
                tmp.write_text(json.dumps(identity, indent=1), encoding="utf-8")


def _first_difference(present: Any, asked: Any, path: str = "") -> str:  # noqa: ANN401 (any JSON)
    """Name the first key in which two JSON values differ, with both values."""
    if isinstance(present, dict) and isinstance(asked, dict):
        for key in sorted(present.keys() | asked.keys()):
            if present.get(key) != asked.get(key):
                inner = f"{path}.{key}" if path else key
                return _first_difference(present.get(key), asked.get(key), inner)
    return f"{path} is {json.dumps(present)} there and {json.dumps(asked)} here"
