"""Running a study: what is done already is not done again, and what fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from winninghand.base.errors import InputError, counted
from winninghand.base.locks import check_held, folder_lock
from winninghand.base.version import __version__
from winninghand.images import ImageSet
from winninghand.results import ResultsWriter, RunResult
from winninghand.results.outcomes import read_outcomes
from winninghand.results.predecessor import card_before, measured_before
from winninghand.results.schema import pyarrow
from winninghand.studies.deck_tasks import DeckTask
from winninghand.studies.deck_work import card_paths, is_measured
from winninghand.studies.executors import EXECUTORS, AnyTask, Executor, Failed, Task
from winninghand.studies.failures import Failures
from winninghand.studies.graph import planned
from winninghand.studies.left import check_corruptions, check_data, is_as_asked, measured_in, with_parents
from winninghand.studies.parts import take_over
from winninghand.studies.study import Study
from winninghand.studies.work import TrainAndMeasure, is_trained
from winninghand.training.identity import run_path


def run_study(
    study: Study,
    images: ImageSet,
    out: Path,
    announce: Callable[[str], None] = lambda _: None,
    finished: bool = False,
    executor: str | Executor = "serial",
    trust: bool = False,
    yes: bool = False,
    parts: Sequence[Path] = (),
) -> Iterator[RunResult]:
    """Train and measure the runs of a study in folders below `out`, yielding each as it is done.

    Then the decks that it asks for are made of the runs' cards, measured and yielded.

    A run leaves its card in a folder of its own, and its rows in the data set `out/results`: see
    `winninghand.results`. A run that the data set knows is done, whether its card is still there or not. A
    run begins at the last checkpoint of another where their first phases are the same: see `studies.graph`. A
    study started again goes on where it was; while a process works on its folder, a second one is refused.
    With `finished` nothing is trained: runs that are not trained yet are left out, and so are decks whose
    cards or norms would have to be. With `trust` networks may be import paths, whose code is run. With `yes`
    there may be more choices than `MOST_RUNS`. What the folders `parts` have of the study is taken over
    first: see `studies.parts`.

    A run that fails is reported to `announce` at once, with the place of its log, and the others go on. It is
    tried `ATTEMPTS` times, unless its input is at fault. One whose training diverges is done. At the end
    `RunsFailedError` says how many failed; it is an `InputError` too where that was the input's fault.
    """
    chosen = _made(executor)
    plan = planned(study, trust, yes)
    pyarrow()  # missing, it is missed before a folder is made
    with folder_lock(out, wait=False):
        writer = ResultsWriter(out)
        known = measured_in(out)
        check_data(known.values(), images, out)
        known = take_over(parts, study, plan, images, out, known, announce)
        runs, outcomes = [task for task in plan.tasks if task.measured], read_outcomes(writer.folder)
        if finished and not (
            known or outcomes or any(is_trained(run_path(out, task.spec.recipe)) for task in runs)
        ):
            return  # nothing is done of this study, and nothing is written
        listed = [{"run": task.name, "parent": _parent(task), "choice": task.spec.choice} for task in runs]
        decks = [{"run": one.name, "cards": list(one.members), "choice": one.choice} for one in plan.decks]
        writer.write_study(study.title, images.name, study.evaluation.to_json(), listed, __version__, decks)
        failures = Failures(out, writer.folder, announce, outcomes)
        todo = []
        for place, task in enumerate(runs, start=1):
            failures.labels[task.name] = f"{place}/{len(runs)} {_label(task, out)}"
            run = known.get(task.name)
            if run is not None and is_as_asked(run, study):
                announce(f"{failures.labels[task.name]}: done already")
                yield _as_asked(run, task, writer)
            elif failures.has_diverged(task.name):
                announce(f"{failures.labels[task.name]}: its training diverged")
            elif not finished or is_trained(run_path(out, task.spec.recipe)):
                todo.append(task)
        todo = todo if finished else with_parents(todo, plan.tasks, out)
        work = TrainAndMeasure(study, images, out, frozenset(known), trust)

        def announced(tasks: Iterable[AnyTask]) -> Iterator[AnyTask]:
            for task in tasks:
                said = ": taken over from version 0.1" if _is_measured_before(task, study, out) else ""
                announce(f"{failures.labels.get(task.name, f'shared {task.name}')}{said}")
                yield task

        def done(tasks: Sequence[AnyTask]) -> Iterator[RunResult]:
            if tasks:
                check_corruptions(known.values(), study)
            while tasks:
                for ended in chosen.run(announced(tasks), work):
                    check_held(out)
                    if isinstance(ended, Failed):
                        failures.failed(ended)
                    elif ended.result is not None:
                        writer.add(ended.result)
                        failures.succeeded(ended.task)
                        yield ended.result
                tasks = failures.to_try_again(tasks)

        yield from done(todo)
        ready: list[DeckTask] = []
        for place, deck in enumerate(plan.decks, start=1):
            label = failures.labels[deck.name] = f"deck {place}/{len(plan.decks)} {deck.name}"
            found = known.get(deck.name)
            if found is not None and is_measured(deck, found, study):
                announce(f"{label}: done already")
                yield _as_asked(found, deck, writer)
            elif failures.has_ended(deck):
                continue
            elif not finished or _needs_no_training(deck, out):
                ready.append(deck)
        yield from done(ready)
        writer.compact()
    failures.raise_failures(
        counted(len(runs), "run") + (f" and {counted(len(decks), 'deck')}" if decks else "")
    )


def _needs_no_training(deck: DeckTask, out: Path) -> bool:
    """Say whether a deck's cards are there; making one of one body trains its norms."""
    return not deck.domains and all(path.exists() for path in card_paths(deck, out).values())


def _made(executor: str | Executor) -> Executor:
    if isinstance(executor, Executor):
        return executor
    kind = EXECUTORS[executor]
    with EXECUTORS.called(executor):
        return kind()


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


def _as_asked(run: RunResult, task: AnyTask, writer: ResultsWriter) -> RunResult:
    """Return what was measured with the choice, protocol and recipe by which the study asks for it now.

    A version that knows more settings writes more of them, and claims compare them. What changed is written.
    """
    about = replace(run.about, **task.asked)
    if about == run.about:
        return run
    run = replace(run, about=about)
    writer.add(run)
    return run


def _parent(task: Task) -> str | None:
    return None if task.parent is None else task.parent.name
