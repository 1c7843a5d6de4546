"""Running a study: what is done already is not done again, and what fails does not stop the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from winninghand.base.errors import InputError, counted
from winninghand.base.files import write_text
from winninghand.base.locks import check_held, folder_lock
from winninghand.base.version import __version__
from winninghand.images import ImageSet
from winninghand.results import ResultsWriter, RunResult
from winninghand.results.outcomes import Outcome, read_outcomes, write_outcomes
from winninghand.results.predecessor import card_before, measured_before
from winninghand.results.schema import pyarrow
from winninghand.studies.deck_tasks import DeckTask
from winninghand.studies.deck_work import card_paths, is_measured
from winninghand.studies.executors import EXECUTORS, AnyTask, BlockedError, Executor, Failed, Task
from winninghand.studies.graph import planned
from winninghand.studies.study import Study
from winninghand.studies.work import TrainAndMeasure, is_trained
from winninghand.training.callbacks import DivergedError
from winninghand.training.identity import data_digest, run_path

ATTEMPTS = 3
"""How often a run is tried that fails for another reason than its input."""


def run_study(
    study: Study,
    images: ImageSet,
    out: Path,
    announce: Callable[[str], None] = lambda _: None,
    finished: bool = False,
    executor: str | Executor = "serial",
    trust: bool = False,
    yes: bool = False,
) -> Iterator[RunResult]:
    """Train and measure the runs of a study in folders below `out`, yielding each as it is done.

    Then the decks that it asks for are made of the runs' cards, measured and yielded.

    A run leaves its card in a folder of its own, and its rows in the data set `out/results`: see
    `winninghand.results`. A run that the data set knows is done, whether its card is still there or not. A
    run begins at the last checkpoint of another where their first phases are the same: see `studies.graph`. A
    study started again goes on where it was; while a process works on its folder, a second one is refused.
    With `finished` nothing is trained, and runs that are not trained yet are left out. With `trust` networks
    may be import paths, whose code is run. With `yes` there may be more choices than `MOST_RUNS`.

    A run that fails is reported to `announce` at once, with the place of its log, and the others go on. It is
    tried `ATTEMPTS` times, unless its input is at fault. One whose training diverges is done. At the end
    `InputError` says how many failed, or `RuntimeError` where that was not the input's fault.
    """
    chosen = _made(executor)
    plan = planned(study, trust, yes)
    pyarrow()  # missing, it is missed before a folder is made
    with folder_lock(out, wait=False):
        writer = ResultsWriter(out)
        known = {run.name: run for run in writer.read() if run.about.measured_on == "study"}
        _check_data(known.values(), images, out)
        runs = [task for task in plan.tasks if task.measured]
        listed = [{"run": task.name, "parent": _parent(task), "choice": task.spec.choice} for task in runs]
        decks = [{"run": one.name, "cards": list(one.members), "choice": one.choice} for one in plan.decks]
        writer.write_study(study.title, images.name, study.evaluation.to_json(), listed, __version__, decks)
        report = _Report(out, writer.folder, announce, read_outcomes(writer.folder))
        todo = []
        for place, task in enumerate(runs, start=1):
            report.labels[task.name] = f"{place}/{len(runs)} {_label(task, out)}"
            run = known.get(task.name)
            if run is not None and run.about.evaluation == study.evaluation.to_json():
                announce(f"{report.labels[task.name]}: done already")
                yield run
            elif report.has_diverged(task.name):
                announce(f"{report.labels[task.name]}: its training diverged")
            elif not finished or is_trained(run_path(out, task.spec.recipe)):
                todo.append(task)
        todo = todo if finished else _with_parents(todo, plan.tasks, out)
        work = TrainAndMeasure(study, images, out, frozenset(known), trust)

        def announced(tasks: Iterable[AnyTask]) -> Iterator[AnyTask]:
            for task in tasks:
                said = ": taken over from version 0.1" if _is_measured_before(task, study, out) else ""
                announce(f"{report.labels.get(task.name, f'shared {task.name}')}{said}")
                yield task

        def done(tasks: Sequence[AnyTask]) -> Iterator[RunResult]:
            while tasks:
                for ended in chosen.run(announced(tasks), work):
                    check_held(out)
                    if isinstance(ended, Failed):
                        report.failed(ended)
                    elif ended.result is not None:
                        writer.add(ended.result)
                        report.succeeded(ended.task)
                        yield ended.result
                tasks = report.to_try_again(tasks)

        yield from done(todo)
        ready: list[DeckTask] = []
        for place, deck in enumerate(plan.decks, start=1):
            label = report.labels[deck.name] = f"deck {place}/{len(plan.decks)} {deck.name}"
            found = known.get(deck.name)
            if found is not None and is_measured(deck, found, study):
                announce(f"{label}: done already")
                yield found
            elif report.has_ended(deck):
                continue
            elif not finished or all(path.exists() for path in card_paths(deck, out).values()):
                ready.append(deck)
        yield from done(ready)
        writer.compact()
    report.raise_failures(
        counted(len(runs), "run") + (f" and {counted(len(decks), 'deck')}" if decks else "")
    )


@dataclass
class _Report:
    """What became of the runs that failed or diverged: told at once, written down, and told at the end."""

    out: Path
    results: Path
    announce: Callable[[str], None]
    outcomes: dict[str, Outcome]
    labels: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    _again: set[str] = field(default_factory=set)
    _diverged: set[str] = field(default_factory=set)

    def has_diverged(self, name: str) -> bool:
        """Say whether a run is done because its training diverged."""
        return name in self.outcomes and self.outcomes[name].kind == "diverged"

    def has_ended(self, deck: DeckTask) -> bool:
        """Say whether a deck cannot be, since one of its cards failed or diverged; it is told."""
        for name in deck.members:
            ended = self.outcomes.get(name)
            if ended is not None:
                error = f"{name}, which it plays, did not end well"
                self._end(Outcome(deck.name, ended.kind, 0, error, ended.log))
                self.announce(f"{deck.name} is not made: {error}; more in {self.out / ended.log}")
                return True
        return False

    def failed(self, ended: Failed) -> None:
        """Take in a run that failed, or whose training diverged, which is a result."""
        task, error = ended.task, ended.error
        if isinstance(error, BlockedError):
            self._blocked(task, error)
            return
        attempts = self.attempts[task.name] = self.attempts.get(task.name, 0) + ended.attempts
        log = Path("failures") / f"{task.name}.log"
        self._log(
            self.out / log, f"attempt {attempts}\n{''.join(traceback.format_exception(error))}", attempts
        )
        if isinstance(error, DivergedError):
            self._diverged.add(task.name)
            self._end(Outcome(task.name, "diverged", attempts, str(error), str(log)))
            self.announce(f"{task.name}: {error}; it is not tried again")
            return
        again = not isinstance(error, InputError) and attempts < ATTEMPTS
        if again:
            self._again.add(task.name)
        self.errors[task.name] = error
        told = str(error) or type(error).__name__
        self._end(Outcome(task.name, "failed", attempts, told, str(log)))
        what = f" at attempt {attempts} of {ATTEMPTS}" if again else ""
        self.announce(f"{task.name} failed{what}: {error}; more in {self.out / log}")

    def succeeded(self, task: AnyTask) -> None:
        """Forget what was told of a run that is done now."""
        (self.out / "failures" / f"{task.name}.log").unlink(missing_ok=True)
        self.errors.pop(task.name, None)
        if self.outcomes.pop(task.name, None) is not None:
            write_outcomes(self.outcomes.values(), self.results)

    def to_try_again(self, tasks: Sequence[AnyTask]) -> list[AnyTask]:
        """Return the tasks that are to be tried once more: those that failed, and what waits for them."""
        names, self._again = self._again, set()
        for task in tasks:
            if task.parent is not None and task.parent.name in names and task.name in self.errors:
                names.add(task.name)
        for name in names:
            self.errors.pop(name, None)
        return [task for task in tasks if task.name in names]

    def raise_failures(self, total: str) -> None:
        """Raise what says how many failed of all, if any did."""
        failed = {name: error for name, error in self.errors.items() if name in self.labels}
        if not failed:
            return
        name, first = next(iter(failed.items()))
        message = f"{len(failed)} of {total} failed, first {name}: {first}"
        if all(isinstance(error, InputError) for error in failed.values()):
            raise InputError(message)
        raise RuntimeError(message) from first

    def _blocked(self, task: AnyTask, error: BlockedError) -> None:
        log = str(Path("failures") / f"{task.parent.name if task.parent else task.name}.log")
        if task.parent is not None and task.parent.name in self._diverged:
            self._diverged.add(task.name)
            self._end(Outcome(task.name, "diverged", 0, str(error), log))
        else:
            self.errors[task.name] = error
            self._end(Outcome(task.name, "failed", 0, str(error), log))
        if task.name in self.labels:
            self.announce(f"{task.name} is not tried: {error}; more in {self.out / log}")

    def _end(self, outcome: Outcome) -> None:
        if outcome.run in self.labels:  # of what is only gone on from, those that needed it tell
            self.outcomes[outcome.run] = outcome
            write_outcomes(self.outcomes.values(), self.results)

    def _log(self, path: Path, text: str, attempts: int) -> None:
        before = path.read_text(encoding="utf-8") if attempts > 1 and path.is_file() else ""
        write_text(f"{before}{text}", path)


def _made(executor: str | Executor) -> Executor:
    if isinstance(executor, Executor):
        return executor
    kind = EXECUTORS[executor]
    with EXECUTORS.called(executor):
        return kind()


def _with_parents(runs: Sequence[Task], tasks: Sequence[Task], out: Path) -> list[Task]:
    """Return runs with the trainings that they go on from, which the study does not ask for, in order."""
    by_name = {task.name: task for task in tasks}
    wanted = {task.name for task in runs}
    for task in runs:
        spec = None if is_trained(run_path(out, task.spec.recipe)) else task.parent
        while spec is not None and spec.name not in wanted and not by_name[spec.name].measured:
            wanted.add(spec.name)
            spec = by_name[spec.name].parent
    return [task for task in tasks if task.name in wanted]


def _label(task: Task, out: Path) -> str:
    """Return a run's name, and its folder's where version 0.1 named that."""
    folder = run_path(out, task.spec.recipe).name
    return task.name if folder == task.name else f"{task.name} (in {folder})"


def _is_measured_before(task: AnyTask, study: Study, out: Path) -> bool:
    """Say whether version 0.1 measured a run as the study asks for, so that nothing is left to do."""
    if isinstance(task, DeckTask):
        return False
    folder = run_path(out, task.spec.recipe)
    with suppress(InputError):  # a damaged file is told of when the run is done
        return None not in (card_before(folder), measured_before(folder, study.evaluation.to_json()))
    return False


def _parent(task: Task) -> str | None:
    return None if task.parent is None else task.parent.name


def _check_data(known: Iterable[RunResult], images: ImageSet, out: Path) -> None:
    digest = data_digest(images)
    for run in known:
        if run.about.data_digest not in (None, digest):
            raise InputError(
                f"the results in {out} are of other images than {images.name}; give another --data or --out"
            )
