"""One run of a study: trained where it is not trained, and measured."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from winninghand.base.device import best_device
from winninghand.base.errors import InputError
from winninghand.base.progress import with_progress
from winninghand.images import ImageSet
from winninghand.recipe import make_recipe
from winninghand.results import About, CellResult, RunResult
from winninghand.results.predecessor import card_before, measured_before
from winninghand.studies.costs import with_costs
from winninghand.studies.environment import ran_on
from winninghand.studies.executors import Task
from winninghand.studies.run_spec import RunSpec
from winninghand.studies.study import Study
from winninghand.training import new_run
from winninghand.training.identity import data_digest, run_path
from winninghand.training.run import Run
from winninghand.training.run_folder import RunFolder


@dataclass(frozen=True)
class TrainAndMeasure:
    """Does one task of a study, in folders below `out`: trains it where it is not trained, and measures it.

    `known` are the names of the runs that were measured before, on other images or cells. `trust` is as in
    `run_study`.
    """

    study: Study
    images: ImageSet
    out: Path
    known: frozenset[str] = frozenset()
    trust: bool = False

    def __call__(self, task: Task) -> RunResult | None:
        """Return what the run found, None of one that is not measured."""
        run, folder = self._opened(task)
        found = self._measured_before(task, run, folder) if task.measured else None
        if found is not None:
            return found
        self._begin(task, run, folder)
        if task.measured:
            return self._measured(task, run, folder)
        run.advance(folder.path)
        return None

    def one_phase(self, task: Task) -> tuple[bool, RunResult | None]:
        """Do no more of a task than one phase; return whether it is done, and then what it found."""
        run, folder = self._opened(task)
        self._begin(task, run, folder)
        if not folder.card.exists() and not run.advance(folder.path, one_phase=True):
            return False, None
        return True, self._measured(task, run, folder) if task.measured else None

    def folder(self, spec: RunSpec) -> RunFolder:
        """Return where a run is, or is to be."""
        return RunFolder(run_path(self.out, spec.recipe))

    def within(self, out: Path) -> TrainAndMeasure:
        """Return the same for another folder."""
        return replace(self, out=out)

    def _opened(self, task: Task) -> tuple[Run, RunFolder]:
        """Return a run and its folder; one of another run is refused before anything is taken from it."""
        run = new_run(task.spec.recipe, self.images, self.trust)
        return run, run.folder(self.folder(task.spec).path)

    def _begin(self, task: Task, run: Run, folder: RunFolder) -> None:
        """Let a run begin where its parent ended, unless it has begun."""
        if folder.card.exists():
            return
        if card_before(folder.path) is not None or task.name in self.known:
            raise InputError(
                f"{folder.card} is needed to measure it again; to train it again delete {folder.path} "
                f"and {self.out / 'results'}"
            )
        before = None if task.parent is None else self.folder(task.parent)
        if before is not None and before.path.exists():
            with before.lock():  # its checkpoint and what belongs to it are taken together
                run.extend(folder, before)

    def _measured_before(self, task: Task, run: Run, folder: RunFolder) -> RunResult | None:
        """Return what version 0.1 found, where it measured what the study asks for."""
        cells, card = measured_before(folder.path, self.study.evaluation.to_json()), card_before(folder.path)
        if cells is None or card is None:
            return None
        known = {**card, "parameters": _parameters(run), "digest": _digest(folder.card)}
        return RunResult.of(self._about(task, folder, **known), cells)

    def _measured(self, task: Task, run: Run, folder: RunFolder) -> RunResult:
        player, device = run.train(folder.path), best_device()
        measurement = self.study.evaluation
        measuring = with_progress(
            measurement.cells(player.to(device), self.images.test),
            f"measuring {task.name}",
            len(measurement),
            "cells",
        )
        cells = [CellResult.of(cell) for cell in measuring]
        accuracies = player.metadata.accuracies
        about = self._about(
            task,
            folder,
            bytes=folder.card.stat().st_size,
            parameters=_parameters(run),
            digest=_digest(folder.card),
            validation_accuracy=accuracies.get("validation"),
            test_accuracy=accuracies.get("test"),
            **ran_on(device, "32-true", task.spec.recipe.network["name"]),
        )
        return RunResult.of(with_costs(about, player, self.images, measurement.times), cells)

    def _about(self, task: Task, folder: RunFolder, **known: object) -> About:
        epochs = folder.read_metrics()
        before = 0 if task.parent is None else len(task.parent.phases)
        own = [epoch for epoch in epochs if epoch.get("phase", 0) >= before]
        return About(
            run=task.name,
            kind="card",
            measured_on="study",
            data=self.images.name,
            data_digest=data_digest(self.images),
            evaluation=self.study.evaluation.to_json(),
            protocol=task.spec.protocol or None,
            choice=task.spec.choice,
            recipe=task.spec.table,
            parent=None if task.parent is None else task.parent.name,
            epochs=len(own),
            seconds=sum(epoch.get("seconds", 0.0) for epoch in own),
            last_validation_accuracy=epochs[-1].get("validation_accuracy") if epochs else None,
            **known,  # type: ignore[arg-type]
        )


def is_trained(folder: Path) -> bool:
    """Say whether the run in a folder has a card, or had one."""
    return RunFolder(folder).card.exists() or card_before(folder) is not None


def card_of(out: Path, run: RunResult) -> Path:
    """Return where the card of a run lies in the folder of its study, unless it was deleted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a stored recipe may have old keys
        return RunFolder(run_path(out, make_recipe(run.about.recipe or {}, known_network=False))).card


def _digest(card: Path) -> str | None:
    """Return a hash of a card's file, None where it was deleted."""
    return blake2b(card.read_bytes(), digest_size=8).hexdigest() if card.exists() else None


def _parameters(run: Run) -> int:
    return sum(weight.numel() for weight in run.network.parameters())
