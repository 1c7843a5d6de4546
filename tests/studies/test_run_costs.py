"""What a run's rows say of its costs."""

import pytest
from pydantic import ValidationError

import winninghand as wh
from winninghand.runtimes import Speed
from winninghand.studies import Study, run_study

STUDY = {
    "title": "costs",
    "recipe": {
        "network": {"name": "conv2", "width": 2, "input_size": 16},
        "domain": {"name": "augmix", "jsd": True},
        "compression": {"method": "lrr", "sparsity": 0.5, "fraction_per_round": 0.5},
        "training": {"epochs": 1, "batch_size": 32, "validation": 0.25},
    },
    "evaluation": {"corruptions": "contrast", "severities": [5]},
}


def test_work_is_counted(tiny_images, tmp_path):
    (run,) = run_study(Study.model_validate(STUDY), tiny_images, tmp_path)
    known = wh.decks.inspect_file(tmp_path / run.name / "card.card")
    about = run.about
    assert [about.nonzero, about.macs, about.nonzero_macs] == [
        known[key] for key in ("nonzero", "macs", "nonzero_macs")
    ]
    learned_from = len(tiny_images.train.validation(0.25)[0])
    assert about.macs_trained == 3 * known["macs"] * learned_from * 3 * 2  # three views, two phases
    assert (about.milliseconds_sparse, about.milliseconds_torch) == (None, None)


def test_times_are_taken_where_they_are_asked_for_and_nobody_disturbs(tiny_images, tmp_path, monkeypatch):
    def timed(runs, images):
        assert set(runs) <= {"sparse", "torch"}
        yield Speed("sparse", 64, 32.0, 0.0, (0.0, 0.0), 7, True)
        yield Speed("torch", 64, 64.0, 0.0, (0.0, 0.0), 7, False)

    monkeypatch.setattr("winninghand.runtimes.speed.timed", timed)
    study = Study.model_validate({**STUDY, "evaluation": {**STUDY["evaluation"], "times": True}})
    (run,) = run_study(study, tiny_images, tmp_path)
    assert (run.about.milliseconds_sparse, run.about.milliseconds_torch) == (0.5, None)
    assert "times" not in run.about.evaluation


def test_times_are_asked_for_by_true():
    with pytest.raises(ValidationError, match="true or false, not 1"):
        Study.model_validate({**STUDY, "evaluation": {"times": 1}})
