"""One task of a study: a run trained where it is not trained, and measured; or a deck of such runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from winninghand.base.device import best_device
from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write
from winninghand.base.progress import with_progress
from winninghand.images import ImageSet
from winninghand.recipe import make_recipe
from winninghand.results import About, CellResult, RunResult
from winninghand.results.predecessor import card_before, measured_before
from winninghand.studies.costs import with_costs
from winninghand.studies.deck_tasks import DeckTask
from winninghand.studies.deck_work import card_paths, deck_path, measured_deck
from winninghand.studies.environment import ran_on
from winninghand.studies.executors import AnyTask, Task
from winninghand.studies.run_spec import RunSpec
from winninghand.studies.study import Study
from winninghand.training import new_run
from winninghand.training.identity import data_digest, run_path
from winninghand.training.run import Run
from winninghand.training.run_folder import RunFolder

Files = dict[str, dict[str, bytes]]
"""The content of run folders, by the run's name."""


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

    def __call__(self, task: AnyTask) -> RunResult | None:
        """Return what the run or the deck found, None of a run that is not measured."""
        if isinstance(task, DeckTask):
            return measured_deck(task, self.study, self.images, self.out, self.trust)
        run, folder = self._opened(task)
        found = self._measured_before(task, run, folder) if task.measured else None
        if found is not None:
            return found
        self._begin(task, run, folder)
        if task.measured:
            return self._measured(task, run, folder)
        run.advance(folder.path)
        return None

    def one_phase(self, task: AnyTask) -> tuple[bool, RunResult | None]:
        """Do no more of a task than one phase; return whether it is done, and then what it found."""
        if isinstance(task, DeckTask):
            return True, self(task)
        run, folder = self._opened(task)
        self._begin(task, run, folder)
        if not folder.card.exists() and not run.advance(folder.path, one_phase=True):
            return False, None
        return True, self._measured(task, run, folder) if task.measured else None

    def folder(self, spec: RunSpec) -> RunFolder:
        """Return where a run is, or is to be."""
        return RunFolder(run_path(self.out, spec.recipe))

    def needed(self, task: AnyTask) -> Files:
        """Return what another machine needs to go on with a task: its own files, or those it begins with."""
        if isinstance(task, DeckTask):
            paths = card_paths(task, self.out)
            return {name: {path.name: path.read_bytes()} for name, path in paths.items() if path.exists()}
        files = {task.name: self.folder(task.spec).content()}
        if task.parent is not None and "checkpoint.pt" not in files[task.name]:
            files[task.parent.name] = self.folder(task.parent).content()
        return files

    def fill(self, task: AnyTask, files: Files) -> None:
        """Write what `needed` returned on another machine."""
        specs = task.cards if isinstance(task, DeckTask) else (task.spec, task.parent)
        for spec in specs:
            if spec is not None and spec.name in files:
                self.folder(spec).fill(files[spec.name])

    def left(self, task: AnyTask) -> dict[str, bytes]:
        """Return the files that a task left, by their names."""
        if not isinstance(task, DeckTask):
            return self.folder(task.spec).content()
        path = deck_path(self.out, task.name)
        return {path.name: path.read_bytes()}

    def take(self, task: AnyTask, content: Mapping[str, bytes]) -> None:
        """Write what `left` returned on another machine."""
        if not isinstance(task, DeckTask):
            folder = self.folder(task.spec)
            with folder.lock():
                folder.fill(content)
            return
        path = deck_path(self.out, task.name)
        with atomic_write(path) as tmp:
            tmp.write_bytes(content[path.name])

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
            parent=None if task.parent is None else task.parent.name,
            epochs=len(own),
            seconds=sum(epoch.get("seconds", 0.0) for epoch in own),
            last_validation_accuracy=epochs[-1].get("validation_accuracy") if epochs else None,
            **task.spec.asked,
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
