"""The folder of one run, and the names of all files in it: the one place that knows them."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write, check_room, read_sealed, regular, write_sealed
from winninghand.base.locks import check_held, folder_lock
from winninghand.cards import Card
from winninghand.images import ImageSet
from winninghand.training.identity import SCHEMA, changed, difference

EpochMetrics = dict[str, float | int]
"""What was measured in one epoch, by name: a row of `metrics.csv`."""

_LOG = logging.getLogger("winninghand")
_DIGEST_MARK = b"winninghand checkpoint, blake2b "
_METRICS_IN_0_1 = {"held_out_accuracy": "validation_accuracy"}


class RunFolder:
    """The files of a run under one path, each written whole.

    `card` is the finished card, `checkpoint` what a run goes on from, `rewind` the weights that later
    phases go back to, `metrics` one row per epoch, `about` says which run it is and what it ran on,
    `costs` what weights cost where that was measured.
    `kept` says whether the folder outlives the run.
    """

    def __init__(self, path: Path | str, kept: bool = True) -> None:
        self.path = Path(path)
        self.kept = kept
        self.card = self.path / "card.card"
        self.checkpoint = self.path / "checkpoint.pt"
        self.rewind = self.path / "rewind.pt"
        self.metrics = self.path / "metrics.csv"
        self.about = self.path / "run.json"
        self.costs = self.path / "costs.json"

    @contextmanager
    def lock(self, wait: bool = True) -> Iterator[None]:
        """Work here alone while the block runs: see `folder_lock`."""
        with folder_lock(self.path, wait):
            yield

    def check(self, identity: Mapping[str, Any], images: ImageSet) -> None:
        """Raise `InputError` where the folder holds another run than the one of `identity`."""
        try:
            is_file = self.path.exists() and not self.path.is_dir()
        except OSError as error:  # too long, or forbidden
            raise InputError(f"{str(self.path)!r} cannot be a folder ({error}); give another one") from error
        if is_file:
            raise InputError(f"{self.path} is a file; give a folder for the run")
        present = self._read_about()
        if present is None:
            if self.card.exists() or self.checkpoint.exists():
                raise InputError(
                    f"{self.path} holds a run, but no {self.about.name} that says which; give another folder"
                )
            return
        found = difference(present, identity, images)
        if found is not None:
            raise InputError(f"{self.path} holds another run ({found}); give another folder")

    def finished(self) -> Path | None:
        """Return the file of the finished card, None where there is none yet."""
        return self.card if self.card.exists() else None

    def check_room(self, bytes_of_checkpoint: int) -> None:
        """Raise `InputError` where the disk has no room for the next checkpoint beside the last."""
        check_room(self.path, bytes_of_checkpoint * (1 if self.checkpoint.exists() else 2))

    def begin(self, identity: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Write down which run this is and what it runs on; say so where it began under other conditions."""
        present = self._read_about()
        about = dict(identity if present is None else present)
        ran_on = list(about.get("ran_on", []))
        if ran_on and ran_on[-1] == environment:
            return
        differences = changed(ran_on[-1], environment) if ran_on else ""
        if not self.checkpoint.exists():
            ran_on = []
        elif differences:
            _LOG.warning(
                "%s goes on under other conditions, and its card will not have the same bits: %s",
                self.path,
                differences,
            )
        write_sealed({**about, "ran_on": [*ran_on, environment]}, self.about)

    def threads(self) -> int | None:
        """Return how many threads a run that is to go on worked with at last; None where none is."""
        if not self.checkpoint.exists() or self.card.exists():
            return None
        ran_on = (self._read_about() or {}).get("ran_on")
        found = ran_on[-1].get("threads") if ran_on else None
        return found if isinstance(found, int) and 1 <= found <= 1024 else None

    def load_costs(self) -> dict[str, int] | None:
        """Return what weights cost when the run began, None where that was not measured, or not yet.

        Raises `InputError` for a file that is damaged, or that has gone.
        """
        if not self.costs.exists():
            if self.checkpoint.exists():
                raise InputError(
                    f"{self.path} has lost {self.costs.name}, by which its run goes on; give another folder"
                )
            return None
        costs = read_sealed(self.costs, "give another folder").get("picoseconds")
        if not isinstance(costs, dict) or not all(type(one) is int and one > 0 for one in costs.values()):
            raise InputError(f"{self.costs} does not say what weights cost; give another folder")
        return costs

    def save_costs(self, costs: Mapping[str, int]) -> None:
        """Write down what weights cost, so that the run goes on by the same."""
        check_held(self.path)
        write_sealed({"picoseconds": dict(costs)}, self.costs)

    def extend(self, other: RunFolder, identity: Mapping[str, Any]) -> None:
        """Begin at the checkpoint that `other`, whose phases are the first of this run, ended with.

        Nothing is done where this run has a checkpoint of its own, or the other has none.
        """
        if self.checkpoint.exists() or not other.checkpoint.exists():
            return
        if not self.about.exists():
            write_sealed(identity, self.about)
        # The checkpoint comes last: once it is there, so is what it needs.
        for source, target in (
            (other.costs, self.costs),
            (other.rewind, self.rewind),
            (other.checkpoint, self.checkpoint),
        ):
            if source.exists():
                with atomic_write(target) as tmp:
                    tmp.write_bytes(source.read_bytes())

    def content(self) -> dict[str, bytes]:
        """Return the files that a run goes on from, or leaves, by name: for machines that do not see them."""
        return {path.name: path.read_bytes() for path in self._files if path.exists()}

    def fill(self, files: Mapping[str, bytes]) -> None:
        """Write what `content` returned on another machine, each file whole, the card last."""
        for path in self._files:
            if path.name in files:
                with atomic_write(path) as tmp:
                    tmp.write_bytes(files[path.name])

    @property
    def _files(self) -> tuple[Path, ...]:
        # Once a file is there, so is what it needs.
        return (self.about, self.costs, self.rewind, self.metrics, self.checkpoint, self.card)

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint. As all that saves, it refuses a folder that was taken away."""
        check_held(self.path)
        _save(state, self.checkpoint)

    def load_checkpoint(self, device: torch.device) -> dict[str, Any] | None:
        """Return the last checkpoint, None before the first. Raises `InputError` for a damaged one."""
        state = _load(self.checkpoint, device)
        if state is not None:
            state["rows"] = [
                {_METRICS_IN_0_1.get(key, key): value for key, value in row.items()} for row in state["rows"]
            ]
        return state

    def save_card(self, card: Card) -> None:
        """Leave the finished card."""
        check_held(self.path)
        card.save(self.card)

    def save_rewind(self, state: Mapping[str, Any]) -> None:
        """Keep the network's state that later phases go back to."""
        check_held(self.path)
        _save(state, self.rewind)

    def load_rewind(self, device: torch.device) -> dict[str, Any]:
        """Return the state that `save_rewind` kept. Raises `InputError` where it is missing or damaged."""
        state = _load(self.rewind, device)
        if state is None:
            raise InputError(f"{self.rewind} is missing; delete the folder to start again")
        return state

    def write_metrics(self, rows: Sequence[EpochMetrics]) -> None:
        """Write `metrics.csv`, one row per epoch."""
        check_held(self.path)
        with atomic_write(self.metrics) as tmp, tmp.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)

    def read_metrics(self) -> list[EpochMetrics]:
        """Return what was measured in each epoch, under present names; empty before the first.

        It comes from the checkpoint, which has a digest, and from `metrics.csv` where that was deleted.
        Raises `InputError` where the file is damaged.
        """
        state = self.load_checkpoint(torch.device("cpu"))
        if state is not None:
            rows: list[EpochMetrics] = state["rows"]
            return rows
        if not self.metrics.exists():
            return []
        try:
            with regular(self.metrics).open(newline="", encoding="utf-8") as file:
                return [
                    {_METRICS_IN_0_1.get(key, key): float(value) for key, value in row.items() if value}
                    for row in csv.DictReader(file)
                ]
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise InputError(f"{self.metrics} is damaged ({error}); delete it") from error

    def _read_about(self) -> dict[str, Any] | None:
        if not self.about.exists():
            return None
        try:
            present = read_sealed(self.about)
        except InputError as error:
            raise InputError(f"{error}; delete the folder or give another one") from error
        if not isinstance(present.get("recipe"), dict):
            raise InputError(f"{self.about} does not say which run it is; give another folder")
        if not _is_record(present.get("ran_on", [])):
            raise InputError(f"{self.about} does not say what the run ran on; give another folder")
        schema = present.get("schema", SCHEMA)
        if schema != SCHEMA:
            raise InputError(f"{self.about} has schema {schema!r}; a newer version of winninghand reads it")
        return present


def _is_record(ran_on: object) -> bool:
    """Say whether this is a list of environments, as `environment` gives them."""
    return isinstance(ran_on, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("versions"), dict)
        and isinstance(one.get("machine"), str)
        for one in ran_on
    )


def _save(state: Mapping[str, Any], path: Path) -> None:
    """Write a state behind a digest of its bytes, by which damage is found."""
    stream = io.BytesIO()
    torch.save(dict(state), stream)
    content = stream.getbuffer()
    with atomic_write(path) as tmp, tmp.open("wb") as file:
        file.write(_DIGEST_MARK + hashlib.blake2b(content).hexdigest().encode() + b"\n")
        file.write(content)


def _load(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Read what `_save` wrote, None where there is no file. Only tensors and plain values are read."""
    if not path.exists():
        return None
    try:
        content = regular(path).read_bytes()
        if content.startswith(_DIGEST_MARK):
            head, _, content = content.partition(b"\n")
            if head.removeprefix(_DIGEST_MARK) != hashlib.blake2b(content).hexdigest().encode():
                raise ValueError("its digest does not fit")
        elif zipfile.ZipFile(io.BytesIO(content)).testzip() is not None:  # of version 0.1, without a digest
            raise ValueError("a checksum does not fit")
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except Exception as error:  # torch.load has no one exception for a damaged file
        # What torch says against a file takes many lines.
        reason = (
            " ".join(str(error).split()) if isinstance(error, OSError | ValueError) else type(error).__name__
        )
        raise InputError(f"{path} is damaged ({reason}); delete the folder to start again") from error
    return state
