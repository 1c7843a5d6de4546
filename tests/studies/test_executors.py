"""Who does the runs: one's own executor, runs that fail, two processes on one folder."""

import threading

import pytest

from winninghand.base.errors import InputError
from winninghand.results import Results
from winninghand.studies import EXECUTORS, Done, Executor, Study, run_specs, run_study
from winninghand.studies.work import TrainAndMeasure

STUDY = Study.model_validate(
    {
        "title": "three seeds",
        "recipe": {
            "network": {"name": "conv2", "width": 2, "input_size": 16},
            "compression": {"method": "lth", "sparsity": 0.5, "fraction_per_round": 0.5},
            "training": {"epochs": 1, "batch_size": 32, "precision": "32-true"},
        },
        "sweeps": [{"compression.sparsity": [0.9, 0.5], "compression.milestones": [[0.5]], "seed": [0, 1]}],
        "evaluation": {"corruptions": "contrast", "severities": [5]},
    }
)


class Backwards(Executor):
    """Does the last run first, of those that need not wait for another one."""

    def run(self, tasks, work):
        waiting = list(tasks)
        while waiting:
            there = [task.spec for task in waiting]
            task = [task for task in waiting if task.parent not in there][-1]
            waiting.remove(task)
            yield Done(task, work(task))


@pytest.fixture
def backwards(monkeypatch):
    monkeypatch.setitem(EXECUTORS._entries, "backwards", Backwards)


def test_another_executor_gives_the_same_rows(tiny_images, tmp_path, backwards):
    ways = [
        (tmp_path / name, list(run_study(STUDY, tiny_images, tmp_path / name, executor=name)))
        for name in ("serial", "backwards")
    ]
    orders = [[run.name for run in runs] for _, runs in ways]
    assert orders[0] != orders[1]
    in_order, out_of_order = (
        [cell.row() for run in Results(out).measured for cell in run.cells] for out, _ in ways
    )
    assert in_order == out_of_order
    assert [run.about.parent for run in Results(ways[1][0]).measured] == [
        run.about.parent for run in Results(ways[0][0]).measured
    ]


def test_an_unknown_executor_is_refused(tiny_images, tmp_path):
    with pytest.raises(InputError, match="did you mean 'serial'"):
        list(run_study(STUDY, tiny_images, tmp_path, executor="serail"))


def failing(monkeypatch, error):
    """Let runs with seed 1 fail before they train."""
    right = TrainAndMeasure.__call__

    def call(self, task):
        if task.spec.recipe.seed == 1:
            raise error
        return right(self, task)

    monkeypatch.setattr(TrainAndMeasure, "__call__", call)


@pytest.mark.parametrize(
    ("error", "raised"), [(InputError("no"), InputError), (KeyError("no"), RuntimeError)]
)
def test_a_run_that_fails_does_not_stop_the_others(tiny_images, tmp_path, monkeypatch, error, raised):
    said, done = [], []
    with monkeypatch.context() as context:
        failing(context, error)
        with pytest.raises(raised, match=r"2 of 4 runs failed, first lth-clean-1-\w+: .*no"):
            done += run_study(STUDY, tiny_images, tmp_path, said.append)
    assert [run.about.seed for run in Results(tmp_path).measured] == [0, 0]
    (log,) = (tmp_path / "failures").glob("*.log")  # what extends the run that failed is not tried
    attempts = 1 if raised is InputError else 3
    assert (
        log.read_text().count(f"\n{type(error).__name__}: ")
        + log.read_text().count(f".{type(error).__name__}: ")
        == attempts
    )
    (extends,) = {name for name in (spec.name for spec in run_specs(STUDY)) if "clean-1" in name} - {log.stem}
    assert sum(f"{log.stem} failed" in line for line in said) == attempts
    assert [(row["run"], row["attempts"], row["log"]) for row in Results(tmp_path).failed] == [
        (name, tries, f"failures/{log.name}")
        for name, tries in zip((log.stem, extends), (attempts, 0), strict=True)
    ]
    rest = list(run_study(STUDY, tiny_images, tmp_path))
    assert len(rest) == 4
    assert not list((tmp_path / "failures").glob("*.log"))
    assert not Results(tmp_path).failed


def test_a_training_that_diverges_is_a_result(tiny_images, tmp_path):
    sweep = {"training.learning_rate": [0.1, 1e30], "compression.sparsity": [0.5, 0.9], "seed": 0}
    sweep["compression.milestones"] = [[0.5]]
    study = STUDY.model_copy(update={"sweeps": [sweep]})
    said = []
    assert len(list(run_study(study, tiny_images, tmp_path, said.append))) == 2
    assert sum("diverged" in line for line in said) == 1
    diverged = Results(tmp_path).diverged
    assert [(row["attempts"], "ended" in row["error"]) for row in diverged] == [(1, False), (0, False)]
    assert "the training diverged at step" in diverged[0]["error"]
    assert not Results(tmp_path).failed
    said.clear()
    assert len(list(run_study(study, tiny_images, tmp_path, said.append))) == 2
    assert sum("its training diverged" in line for line in said) == 2


def test_a_full_disk_stops_the_study_which_goes_on_later(tiny_images, tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        failing(context, OSError(28, "No space left on device"))
        with pytest.raises(OSError, match="No space"):
            list(run_study(STUDY, tiny_images, tmp_path))
    full = InputError("cannot write")
    full.__cause__ = OSError(28, "No space left on device")
    with monkeypatch.context() as context:
        failing(context, full)
        with pytest.raises(InputError, match="cannot write"):
            list(run_study(STUDY, tiny_images, tmp_path))
    assert not (tmp_path / "failures").exists()
    assert len(list(run_study(STUDY, tiny_images, tmp_path))) == 4


def test_the_second_on_a_folder_is_refused(tiny_images, tmp_path):
    first = run_study(STUDY, tiny_images, tmp_path)
    next(first)
    refused = []

    def second():
        try:
            list(run_study(STUDY, tiny_images, tmp_path))
        except InputError as error:
            refused.append(str(error))

    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    assert len(refused) == 1
    assert "works in" in refused[0]
    assert len(list(first)) == 3
