"""Taking over what was done of a study in other folders, such as those of other machines."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from winninghand.base.errors import InputError, counted
from winninghand.base.files import atomic_write
from winninghand.images import ImageSet
from winninghand.results import ResultsWriter, RunResult, check_same_corruptions
from winninghand.results.outcomes import read_outcomes, write_outcomes
from winninghand.studies.deck_tasks import DeckTask
from winninghand.studies.deck_work import deck_path, is_measured
from winninghand.studies.executors import AnyTask
from winninghand.studies.graph import Plan
from winninghand.studies.left import check_data, is_as_asked, measured_in
from winninghand.studies.study import Study
from winninghand.studies.work import is_trained
from winninghand.training.identity import run_path
from winninghand.training.run_folder import RunFolder


def take_over(
    parts: Sequence[Path],
    study: Study,
    plan: Plan,
    images: ImageSet,
    out: Path,
    known: Mapping[str, RunResult],
    announce: Callable[[str], None] = lambda _: None,
) -> dict[str, RunResult]:
    """Copy to `out` what the folders of a study's parts have of its plan, and `out` has not.

    `known` are the runs and decks that were measured in `out`; returns them with those that are new.

    That is results of runs and decks that were measured as the study asks, their files, what diverged, and
    trainings that have begun, which go on from there. The parts are only read, and what they hold beside the
    plan is left where it is.

    Raises `InputError` for a folder with no results of a study, with those of other images, or under other
    corruptions than the rest, before anything is copied.
    """
    writer, ours = ResultsWriter(out), dict(known)
    found = [(part, _measured_of(part, plan, images, out)) for part in parts]
    asked: list[AnyTask] = [*(task for task in plan.tasks if task.measured), *plan.decks]
    names = {task.name for task in asked}
    everything = chain(known.values(), *(theirs.values() for _, theirs in found))
    check_same_corruptions(run for run in everything if run.name in names and is_as_asked(run, study))
    for part, theirs in found:
        for training in plan.tasks:
            source, target = (run_path(folder, training.spec.recipe) for folder in (part, out))
            if _is_further(RunFolder(source), RunFolder(target)):
                _copy_run(source, target)
        left = [task for task in asked if not _is_done(task, ours, study)]
        new = [task for task in left if _is_done(task, theirs, study)]
        for task in new:
            run = theirs[task.name]
            if isinstance(task, DeckTask):
                _copy(deck_path(part, task.name), deck_path(out, task.name))
            run = replace(run, about=replace(run.about, **task.asked))
            writer.add(run)
            ours[task.name] = run
        _take_outcomes(part, out, {task.name for task in left}, {task.name for task in new})
        decks = sum(isinstance(task, DeckTask) for task in new)
        announce(f"{part}: {counted(len(new) - decks, 'run')} and {counted(decks, 'deck')} taken over")
    return ours


def _measured_of(part: Path, plan: Plan, images: ImageSet, out: Path) -> dict[str, RunResult]:
    """Return what was measured in the folder of a part; raise `InputError` where it is none of this study."""
    if part.resolve() == out.resolve():
        raise InputError(f"{part} is the study's own folder; give others as its parts")
    found = measured_in(part)
    if not found and not any(run_path(part, task.spec.recipe).is_dir() for task in plan.tasks):
        raise InputError(
            f"{part} holds nothing of this study; give the folder that 'winninghand study --out' wrote"
        )
    check_data(found.values(), images, part)
    return found


def _is_further(source: RunFolder, target: RunFolder) -> bool:
    """Say whether a run got further in one folder than in another."""
    if is_trained(target.path) or is_trained(source.path):
        return not is_trained(target.path)
    if not source.checkpoint.exists() or not target.checkpoint.exists():
        return source.checkpoint.exists()
    return len(source.read_metrics()) > len(target.read_metrics())


def _is_done(task: AnyTask, known: dict[str, RunResult], study: Study) -> bool:
    """Say whether a run or deck is among those that were measured as the study asks."""
    run = known.get(task.name)
    if isinstance(task, DeckTask):
        return is_measured(task, run, study)
    return run is not None and is_as_asked(run, study)


def _take_outcomes(part: Path, out: Path, left: Collection[str], done: Collection[str]) -> None:
    """Take over what diverged of what is left, with its log, and forget what was told of what is done."""
    folder = ResultsWriter(out).folder
    ours = read_outcomes(folder)
    outcomes = {name: outcome for name, outcome in ours.items() if name not in done}
    for name, outcome in read_outcomes(ResultsWriter(part).folder).items():
        if outcome.kind == "diverged" and name in left and name not in done:
            log = Path("failures") / f"{name}.log"
            _copy(part / log, out / log)
            outcomes[name] = replace(outcome, log=str(log))
    if outcomes != ours:
        write_outcomes(outcomes.values(), folder)


def _copy_run(source: Path, target: Path) -> None:
    """Copy the files of a run, its card last: without a card a folder is that of a training that goes on."""
    files = [path for path in source.iterdir() if not path.name.startswith(".")]
    for path in sorted(files, key=lambda path: path.name == RunFolder(source).card.name):
        _copy(path, target / path.name)


def _copy(source: Path, target: Path) -> None:
    """Copy a file whole or not at all. What is no plain file, and may lead anywhere, is left out."""
    if source.is_file() and not source.is_symlink():
        with atomic_write(target) as tmp:
            shutil.copyfile(source, tmp)
