"""The study that shows that all is well, planned and run."""

import json
from pathlib import Path

import pytest

from winninghand.results import Results

FILE = Path(__file__).parents[2] / "studies/smoke.toml"


@pytest.mark.slow
def test_the_smoke_study_is_planned_and_run(run, few_digits, tmp_path, monkeypatch):
    images = few_digits(360, 100)  # a quarter of them
    monkeypatch.setattr("winninghand.cli.loading.images_as", lambda *_: images)
    words = ("study", str(FILE), "--out", str(tmp_path))
    code, out, err = run(*words, "--plan", "--workers", "2", "--json", "-")
    plan = json.loads(out)
    assert code == 0
    assert "epochs" in err
    assert not (tmp_path / "results").exists()
    assert plan["epochs"] < plan["epochs_without_sharing"]
    assert plan["hours"] > 0
    code, out, err = run(*words)
    assert (code, out) == (0, "")
    results = Results(tmp_path)
    assert len(results.finished) == plan["runs"] == len(results.study["runs"])
    assert {run.about.protocol for run in results.finished} == {None, "equal_schedule", "equal_epochs"}
    assert {run.about.run for run in results.finished if run.about.epochs == 0} >= {
        run.about.run for run in results.finished if run.about.method == "dense"
    }
    assert not results.failed
    assert not results.diverged
    code, out, err = run(*words, "--plan", "--json", "-")
    assert code == 0
    assert json.loads(out)["left"] == {"runs": [], "decks": [], "epochs": 0, "hours": 0}
    assert f"{plan['runs']} of {plan['runs']} runs" in err and "are done" in err
