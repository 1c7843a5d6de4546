"""A study that was done in parts, in folders of their own."""

from dataclasses import replace

import numpy as np
import pytest

import winninghand as wh
from winninghand.base.errors import InputError
from winninghand.evaluation import measurement
from winninghand.results import ResultsWriter
from winninghand.results.outcomes import Outcome, read_outcomes, write_outcomes
from winninghand.studies import Study, planned, run_study
from winninghand.studies.parts import take_over
from winninghand.training import new_run

RECIPE = {
    "network": {"name": "conv2", "width": 2, "input_size": 16},
    "compression": {"sparsity": 0.5},
    "training": {"epochs": 1, "batch_size": 32, "precision": "32-true"},
}


def study(methods, seeds, decks=(), severity=1):
    sweep = {"compression.method": [*methods], "seed": [*seeds]}
    evaluation = {"corruptions": "contrast", "severities": [severity]}
    table = {"title": "a", "recipe": RECIPE, "sweeps": [sweep], "decks": [*decks], "evaluation": evaluation}
    return Study.model_validate(table | {"protocol": "equal_schedule"})


def answers(results):
    return {run.name: [cell.correct.tolist() for cell in (run.clean, *run.cells)] for run in results}


def test_parts_of_a_study_are_put_together_and_nothing_is_trained_again(tiny_images, tmp_path):
    done = {}
    for seed in (0, 1):
        done |= answers(run_study(study(["dense", "lrr"], [seed]), tiny_images, tmp_path / f"{seed}"))
    deck = {"name": "pair", "cards": [{"compression.method": "lrr"}], "seeds": "together", "gate": "average"}
    whole, parts, told = study(["dense", "lrr"], [0, 1], [deck]), [tmp_path / "0", tmp_path / "1"], []
    found = list(run_study(whole, tiny_images, tmp_path / "all", told.append, finished=True, parts=parts))
    assert answers(found[:-1]) == done
    assert (found[-1].about.kind, len(found[-1].about.members)) == ("deck", 2)
    assert told[:2] == [f"{part}: 2 runs and 0 decks taken over" for part in parts]
    again = list(run_study(whole, tiny_images, tmp_path / "all", told.append, finished=True, parts=parts))
    assert answers(again) == answers(found)
    assert told[-1].endswith("done already")
    last = list(run_study(whole, tiny_images, tmp_path / "b", told.append, True, parts=[tmp_path / "all"]))
    assert answers(last) == answers(found)
    assert (tmp_path / "b/decks/pair.deck").read_bytes() == (tmp_path / "all/decks/pair.deck").read_bytes()


def test_a_run_goes_on_from_the_training_of_a_part(tiny_images, tmp_path):
    list(run_study(study(["dense"], [0]), tiny_images, tmp_path / "part"))
    asked = study(["dense", "lrr"], [0])
    dense, lrr = run_study(asked, tiny_images, tmp_path / "all", parts=[tmp_path / "part"])
    alone = list(run_study(study(["lrr"], [0]), tiny_images, tmp_path / "alone"))
    assert lrr.about.parent == dense.name
    assert lrr.about.epochs == alone[0].about.epochs - 1
    assert answers([lrr]) == answers(alone)


def test_what_was_measured_otherwise_is_measured_anew_from_the_card(tiny_images, tmp_path):
    list(run_study(study(["dense"], [0], severity=2), tiny_images, tmp_path / "part"))
    told = []
    (run,) = run_study(
        study(["dense"], [0]),
        tiny_images,
        tmp_path / "all",
        told.append,
        finished=True,
        parts=[tmp_path / "part"],
    )
    assert told[0].endswith("0 runs and 0 decks taken over")
    assert [cell.severity for cell in run.cells] == [1]


def test_what_diverged_in_a_part_is_not_tried_again_and_what_failed_here_is_forgotten(tiny_images, tmp_path):
    asked = study(["dense"], [0, 1])
    first, second = (task.name for task in planned(asked).runs)
    part, out = tmp_path / "part", tmp_path / "all"
    list(run_study(study(["dense"], [0]), tiny_images, part))
    write_outcomes([Outcome(second, "diverged", 1, "loss is nan", "../../elsewhere")], part / "results")
    write_outcomes([Outcome(first, "failed", 3, "no room", f"failures/{first}.log")], out / "results")
    (run,) = run_study(asked, tiny_images, out, parts=[part])
    assert run.name == first
    outcomes = read_outcomes(out / "results")
    assert [*outcomes] == [second]
    assert outcomes[second].log == f"failures/{second}.log"
    assert [row["run"] for row in wh.Results(out).diverged] == [second]


def test_links_in_a_part_lead_nowhere(tiny_images, tmp_path):
    asked = study(["dense"], [0])
    list(run_study(asked, tiny_images, tmp_path / "part"))
    (name,) = (task.name for task in planned(asked).runs)
    secret = tmp_path / "secret"
    secret.write_text("mine")
    (tmp_path / "part" / name / "metrics.csv").unlink()
    (tmp_path / "part" / name / "metrics.csv").symlink_to(secret)
    list(run_study(asked, tiny_images, tmp_path / "all", parts=[tmp_path / "part"]))
    assert (tmp_path / "all" / name / "card.card").exists()
    assert not (tmp_path / "all" / name / "metrics.csv").exists()


def test_a_folder_that_is_no_part_of_the_study_is_refused(tiny_images, tmp_path):
    asked = study(["dense"], [0])
    list(run_study(asked, tiny_images, tmp_path / "part"))
    (tmp_path / "empty").mkdir()
    train = replace(tiny_images.train, labels=np.roll(tiny_images.train.labels, 1))
    others = replace(tiny_images, train=train)
    for part, images, message in (
        ("nowhere", tiny_images, "holds nothing of this study"),
        ("empty", tiny_images, "holds nothing of this study"),
        ("all", tiny_images, "own folder"),
        ("part", others, "other images"),
    ):
        with pytest.raises(InputError, match=message):
            list(run_study(asked, images, tmp_path / "all", parts=[tmp_path / part]))


def test_the_training_that_got_further_goes_on(tiny_images, tmp_path):
    recipe = RECIPE | {"compression": {"method": "lrr", "sparsity": 0.75, "milestones": [0.5]}}
    asked = Study.model_validate({"title": "a", "recipe": recipe, "protocol": "equal_schedule"})
    plan = planned(asked)
    (task,) = plan.tasks

    def begun(folder, phases):
        run = new_run(task.spec.recipe, tiny_images)
        for _ in range(phases):
            assert not run.advance(folder / task.name, one_phase=True)
        return (folder / task.name / "checkpoint.pt").read_bytes()

    part, out, late = tmp_path / "part", tmp_path / "out", tmp_path / "late"
    first, second = begun(part, 1), begun(out, 2)
    late.mkdir()
    for folder, one in ((out, second), (late, first)):
        for _ in range(2):
            take_over([part], asked, plan, tiny_images, folder, {})
            assert (folder / task.name / "checkpoint.pt").read_bytes() == one
    take_over([out], asked, plan, tiny_images, late, {})
    assert (late / task.name / "checkpoint.pt").read_bytes() == second


def test_no_part_is_copied_where_another_is_refused(tiny_images, tmp_path):
    asked = study(["dense"], [0])
    list(run_study(asked, tiny_images, tmp_path / "part"))
    with pytest.raises(InputError, match="holds nothing of this study"):
        list(run_study(asked, tiny_images, tmp_path / "all", parts=[tmp_path / "part", tmp_path / "typo"]))
    assert not list((tmp_path / "all").rglob("*.parquet"))
    assert not list((tmp_path / "all").rglob("*.card"))


def test_runs_under_different_corruptions_are_neither_put_together_nor_compared(
    tiny_images, tmp_path, monkeypatch
):
    """Of a group each machine measures what it has."""

    def on_a_machine_with(names, seeds):
        gone = {name: "get it" for name in wh.names("corruptions") if name not in names}
        monkeypatch.setattr(measurement, "missing_corruptions", lambda _: gone)
        table = study(["dense"], seeds).model_dump() | {"evaluation": {"severities": [1]}}
        return Study.model_validate(table)

    both, one, parts = ["contrast", "fog"], ["contrast"], [tmp_path / "both", tmp_path / "one"]
    (fog,) = run_study(on_a_machine_with(both, [0]), tiny_images, parts[0])
    list(run_study(on_a_machine_with(one, [1]), tiny_images, parts[1]))
    with pytest.raises(InputError, match="was measured without fog, other runs of the study with it"):
        list(run_study(on_a_machine_with(one, [0, 1]), tiny_images, tmp_path / "all", parts=parts))
    assert not (tmp_path / "all").exists() or not list((tmp_path / "all").glob("*"))
    with pytest.raises(InputError, match="measured with fog, which cannot be had here: get it"):
        list(run_study(on_a_machine_with(one, [0, 1]), tiny_images, parts[0]))
    unknown = on_a_machine_with(one, [0, 1])
    object.__setattr__(unknown.evaluation, "missing", {})
    with pytest.raises(InputError, match="measured with fog, which cannot be had here: it is not known"):
        list(run_study(unknown, tiny_images, parts[0]))
    with pytest.raises(InputError, match="measured without fog, which can be had here"):
        list(run_study(on_a_machine_with(both, [0, 1]), tiny_images, parts[1]))
    assert len(list(run_study(on_a_machine_with(both, [1]), tiny_images, parts[1]))) == 1
    ResultsWriter(parts[1]).write_study(
        "a",
        "tiny",
        fog.about.evaluation,
        [{"run": run.name, "parent": None, "choice": {}} for run in (fog, *wh.Results(parts[1]).finished)],
        "0",
        [],
    )
    ResultsWriter(parts[1]).add(fog)
    with pytest.raises(InputError, match="was measured without fog"):
        _ = wh.Results(parts[1]).claims
