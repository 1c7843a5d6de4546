"""Running a study: what is done already is not done again, and what fails does not stop the others."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from winninghand.base.device import best_device
from winninghand.base.errors import InputError, counted
from winninghand.base.files import atomic_write
from winninghand.base.locks import check_held, folder_lock
from winninghand.base.progress import with_progress
from winninghand.base.version import __version__
from winninghand.images import ImageSet
from winninghand.recipe import make_recipe
from winninghand.results import About, CellResult, ResultsWriter, RunResult
from winninghand.results.predecessor import card_before, measured_before
from winninghand.results.schema import pyarrow
from winninghand.studies.costs import with_costs
from winninghand.studies.environment import ran_on
from winninghand.studies.executors import EXECUTORS, Failed, Task
from winninghand.studies.run_spec import RunSpec, parents, run_specs
from winninghand.studies.study import Study
from winninghand.training import new_run
from winninghand.training.identity import data_digest, run_path, whole
from winninghand.training.run_folder import RunFolder


def run_study(
    study: Study,
    images: ImageSet,
    out: Path,
    announce: Callable[[str], None] = lambda _: None,
    finished: bool = False,
    executor: str = "serial",
    trust: bool = False,
) -> Iterator[RunResult]:
    """Train and measure the runs of a study in folders below `out`, yielding each as it is done.

    A run leaves its card in a folder of its own, and its rows in the data set `out/results`: see
    `winninghand.results`. A run that the data set knows is done, whether its card is still there or not. A
    run that extends another one begins at that one's last checkpoint. A study started again goes on where
    it was; its folder is locked, and a second process waits. With `finished` nothing is trained, and runs
    that are not trained yet are left out. With `trust` networks may be import paths, whose code is run.

    A run that fails is reported to `announce` at once, with the place of its traceback, and the others go
    on. At the end `InputError` says how many failed, or `RuntimeError` where that was not the input's fault.
    """
    kind, specs = EXECUTORS[executor], run_specs(study, trust)
    with EXECUTORS.called(executor):
        chosen = kind()
    parent = parents(specs)
    tasks = [Task(spec, parent[spec.name]) for spec in specs]
    pyarrow()  # missing, it is missed before a folder is made
    with folder_lock(out):
        writer = ResultsWriter(out)
        known = {run.name: run for run in writer.read() if run.about.measured_on == "study"}
        _check_data(known.values(), images, out)
        planned = [
            {"run": task.name, "parent": _name(task.parent), "choice": task.spec.choice} for task in tasks
        ]
        writer.write_study(study.title, images.name, study.evaluation.to_json(), planned, __version__)
        labels = {task.name: _label(task, out) for task in tasks}
        failures = []
        todo = []
        for place, task in enumerate(tasks, start=1):
            run = known.get(task.name)
            if run is not None and run.about.evaluation == study.evaluation.to_json():
                announce(f"{place}/{len(tasks)} {labels[task.name]}: done already")
                yield run
            elif not finished or is_trained(run_path(out, task.spec.recipe)):
                todo.append(task)
        work = TrainAndMeasure(study, images, out, frozenset(known), trust)
        places = {task.name: place for place, task in enumerate(tasks, start=1)}

        def announced(task: Task) -> None:
            said = ": taken over from version 0.1" if _is_measured_before(task, study, out) else ""
            announce(f"{places[task.name]}/{len(tasks)} {labels[task.name]}{said}")

        for ended in chosen.run(_announced(todo, announced), work):
            check_held(out)
            log = out / "failures" / f"{ended.task.name}.log"
            if isinstance(ended, Failed):
                failures.append(ended)
                _write_traceback(ended.error, log)
                announce(f"{ended.task.name} failed: {ended.error}; more in {log}")
            else:
                writer.add(ended.result)
                log.unlink(missing_ok=True)
                yield ended.result
        writer.compact()
    if failures:
        _raise(failures, len(tasks))


@dataclass(frozen=True)
class TrainAndMeasure:
    """Does one run of a study: trains it where it is not trained, and measures it.

    `known` are the names of the runs that were measured before, on other images or cells. `trust` is as in
    `run_study`.
    """

    study: Study
    images: ImageSet
    out: Path
    known: frozenset[str] = frozenset()
    trust: bool = False

    def __call__(self, task: Task) -> RunResult:
        """Return what the run found."""
        run = new_run(task.spec.recipe, self.images, self.trust)
        folder = run.folder(run_path(self.out, task.spec.recipe))  # refused before anything is taken from it
        evaluation = self.study.evaluation.to_json()
        parameters = sum(weight.numel() for weight in run.network.parameters())
        cells, card = measured_before(folder.path, evaluation), card_before(folder.path)
        if cells is not None and card is not None:
            known = {**card, "parameters": parameters, "digest": _digest(folder.card)}
            return RunResult.of(self._about(task, folder, **known), cells)
        if not folder.card.exists():
            if card is not None or task.name in self.known:
                raise InputError(
                    f"{folder.card} is needed to measure it again; to train it again delete {folder.path} "
                    f"and {self.out / 'results'}"
                )
            before = self._parent_folder(task)
            if before is not None and before.path.exists():
                with before.lock():  # its checkpoint and what belongs to it are taken together
                    run.extend(folder, before)
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
            parameters=parameters,
            digest=_digest(folder.card),
            validation_accuracy=accuracies.get("validation"),
            test_accuracy=accuracies.get("test"),
            **ran_on(device, "32-true", task.spec.recipe.network["name"]),
        )
        return RunResult.of(with_costs(about, player, self.images, measurement.times), cells)

    def _about(self, task: Task, folder: RunFolder, **known: object) -> About:
        epochs, parent = folder.read_metrics(), self._parent_folder(task)
        before = 0 if parent is None else len(parent.read_metrics())
        return About(
            run=task.name,
            kind="card",
            measured_on="study",
            data=self.images.name,
            data_digest=data_digest(self.images),
            evaluation=self.study.evaluation.to_json(),
            choice=task.spec.choice,
            recipe=whole(task.spec.recipe),
            parent=_name(task.parent),
            epochs=len(epochs[before:]),
            seconds=sum(epoch.get("seconds", 0.0) for epoch in epochs[before:]),
            last_validation_accuracy=epochs[-1].get("validation_accuracy") if epochs else None,
            **known,  # type: ignore[arg-type]
        )

    def _parent_folder(self, task: Task) -> RunFolder | None:
        return None if task.parent is None else RunFolder(run_path(self.out, task.parent.recipe))


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


def _label(task: Task, out: Path) -> str:
    """Return a run's name, and its folder's where version 0.1 named that."""
    folder = run_path(out, task.spec.recipe).name
    return task.name if folder == task.name else f"{task.name} (in {folder})"


def _is_measured_before(task: Task, study: Study, out: Path) -> bool:
    """Say whether version 0.1 measured a run as the study asks for, so that nothing is left to do."""
    folder = run_path(out, task.spec.recipe)
    with suppress(InputError):  # a damaged file is told of when the run is done
        return None not in (card_before(folder), measured_before(folder, study.evaluation.to_json()))
    return False


def _name(spec: RunSpec | None) -> str | None:
    return None if spec is None else spec.name


def _check_data(known: Iterable[RunResult], images: ImageSet, out: Path) -> None:
    digest = data_digest(images)
    for run in known:
        if run.about.data_digest not in (None, digest):
            raise InputError(
                f"the results in {out} are of other images than {images.name}; give another --data or --out"
            )


def _announced(tasks: Iterable[Task], announce: Callable[[Task], None]) -> Iterator[Task]:
    for task in tasks:
        announce(task)
        yield task


def _write_traceback(error: Exception, path: Path) -> None:
    with atomic_write(path) as tmp:
        tmp.write_text("".join(traceback.format_exception(error)), encoding="utf-8")


def _raise(failures: list[Failed], total: int) -> None:
    first = failures[0]
    message = f"{len(failures)} of {counted(total, 'run')} failed, first {first.task.name}: {first.error}"
    if all(isinstance(one.error, InputError) for one in failures):
        raise InputError(message)
    raise RuntimeError(message) from first.error
