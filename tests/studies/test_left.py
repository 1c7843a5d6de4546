"""What is left of a study."""

import shutil

from winninghand.results.outcomes import Outcome, write_outcomes
from winninghand.studies import Study, planned, run_study
from winninghand.studies.left import left_of

RECIPE = {
    "network": {"name": "conv2", "width": 2, "input_size": 16},
    "training": {"epochs": 1, "batch_size": 32, "precision": "32-true"},
}


def test_what_is_measured_as_asked_is_not_left_and_what_lost_its_parent_trains_all_phases(
    tiny_images, tmp_path
):
    def study(*methods, severity=1):
        sweep = {"compression.method": list(methods), "compression.sparsity": 0.5}
        evaluation = {"corruptions": "contrast", "severities": [severity]}
        table = {"title": "a", "recipe": RECIPE, "sweeps": [sweep], "evaluation": evaluation}
        return Study.model_validate(table | {"protocol": "equal_schedule"})

    list(run_study(study("dense"), tiny_images, tmp_path))
    asked = study("dense", "lrr")
    plan = planned(asked)
    (lrr,) = left_of(asked, plan, tmp_path).tasks
    assert (lrr.spec.recipe.compression.method, lrr.parent) == ("lrr", plan.tasks[0].spec)
    whole, rest = plan.epochs, left_of(asked, plan, tmp_path).epochs
    assert (whole, rest) == (5, 4)
    shutil.rmtree(tmp_path / plan.tasks[0].name)
    assert left_of(asked, plan, tmp_path).epochs == 5
    otherwise = study("dense", "lrr", severity=2)
    assert len(left_of(otherwise, planned(otherwise), tmp_path).runs) == 2


def test_what_diverged_is_not_left_nor_a_deck_of_it(tmp_path):
    sweep = {"compression.method": "lrr", "compression.sparsity": 0.5, "seed": [0, 1]}
    deck = {"name": "pair", "cards": [{"compression.method": "lrr"}], "seeds": "together"}
    study = Study.model_validate({"title": "a", "recipe": RECIPE, "sweeps": [sweep], "decks": [deck]})
    plan = planned(study)
    assert [len(left_of(study, plan, tmp_path).decks), len(plan.runs)] == [
        2,
        2,
    ]  # beside the deck the average of its cards
    first, second = (run.name for run in plan.runs)
    write_outcomes([Outcome(first, "diverged", 1, "loss is nan", "failures/a.log")], tmp_path / "results")
    left = left_of(study, plan, tmp_path)
    assert ([run.name for run in left.runs], left.decks) == ([second], ())
