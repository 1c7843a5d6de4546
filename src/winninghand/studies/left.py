"""What of a study is done, and what is left to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.images import ImageSet
from winninghand.results import ResultsWriter, RunResult, check_same_corruptions
from winninghand.results.outcomes import read_outcomes
from winninghand.studies.deck_work import is_measured
from winninghand.studies.executors import Task
from winninghand.studies.graph import Plan
from winninghand.studies.study import Study
from winninghand.studies.work import is_trained
from winninghand.training.identity import data_digest, run_path
from winninghand.training.run_folder import RunFolder


def measured_in(out: Path) -> dict[str, RunResult]:
    """Return the runs and decks of a study that were measured in its folder, on whatever cells, by name."""
    return {run.name: run for run in ResultsWriter(out).read() if run.about.measured_on == "study"}


def check_data(known: Iterable[RunResult], images: ImageSet, out: Path) -> None:
    """Raise `InputError` where results in a folder are of other images."""
    digest = data_digest(images)
    for run in known:
        if run.about.data_digest not in (None, digest):
            raise InputError(
                f"the results in {out} are of other images than {images.name}; give another --data or --out"
            )


def check_corruptions(known: Iterable[RunResult], study: Study) -> None:
    """Raise `InputError` where what is measured now would be under other corruptions than what is known."""
    asked = [run for run in known if is_as_asked(run, study)]
    check_same_corruptions(asked)
    if not asked:
        return
    theirs, ours = set(asked[0].corruptions), set(study.evaluation.names)
    if theirs == ours:
        return
    gone = sorted(theirs - ours)
    # A package that brings corruptions of its own may be missing as a whole.
    reasons = [study.evaluation.missing.get(name, "it is not known") for name in gone]
    fault = (
        f"with {', '.join(gone)}, which cannot be had here: {reasons[0]}"
        if gone
        else f"without {', '.join(sorted(ours - theirs))}, which can be had here; name in [evaluation] the "
        "corruptions that every machine has: the cards are measured anew"
    )
    raise InputError(f"what is done of the study was measured {fault}")


def is_as_asked(run: RunResult, study: Study) -> bool:
    """Say whether a run was measured on what the study measures now."""
    return run.about.evaluation == study.evaluation.to_json()


def left_of(study: Study, plan: Plan, out: Path) -> Plan:
    """Return what is left of a plan in a folder; a training that has begun counts as a whole.

    What diverged is not left, nor a deck of its card. A task whose parent's checkpoint is gone has no parent
    here: it trains all of its phases.
    """
    known, outcomes = measured_in(out), read_outcomes(ResultsWriter(out).folder)
    diverged = {name for name, outcome in outcomes.items() if outcome.kind == "diverged"}
    ended = diverged | {name for name, run in known.items() if is_as_asked(run, study)}
    runs = [task for task in plan.tasks if task.measured and task.name not in ended]
    tasks = with_parents(runs, plan.tasks, out)
    names = {task.name for task in tasks}
    decks = [
        deck
        for deck in plan.decks
        if not is_measured(deck, known.get(deck.name), study) and diverged.isdisjoint(deck.members)
    ]
    return Plan(tuple(_begun(task, names, out) for task in tasks), tuple(decks))


def with_parents(runs: Sequence[Task], tasks: Sequence[Task], out: Path) -> list[Task]:
    """Return runs with the trainings that they go on from, which the study does not ask for, in order."""
    by_name = {task.name: task for task in tasks}
    wanted = {task.name for task in runs}
    for task in runs:
        spec = None if is_trained(run_path(out, task.spec.recipe)) else task.parent
        while spec is not None and spec.name not in wanted and not by_name[spec.name].measured:
            wanted.add(spec.name)
            spec = by_name[spec.name].parent
    return [task for task in tasks if task.name in wanted]


def _begun(task: Task, names: Collection[str], out: Path) -> Task:
    if task.parent is None or task.parent.name in names:
        return task
    there = RunFolder(run_path(out, task.parent.recipe)).checkpoint.exists()
    return task if there else replace(task, parent=None)
