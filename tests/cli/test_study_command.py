"""`winninghand study`, `zoo` and `demo` from end to end, on few images."""

import json
import re
import sys

import numpy as np
import pytest

import prepared_world
import winninghand as wh
from winninghand.evaluation import Measurement
from winninghand.studies.work import TrainAndMeasure
from winninghand.zoo import MODELS

STUDY = (
    prepared_world.STUDY.replace("width = 2", "width = 2, input_size = 16")
    + """
[zoo]
data = "tiny"
reference = 8
decks = ["both"]
[[decks]]
name = "both"
seeds = "together"
gate = "average"
"""
)


@pytest.fixture
def place(tmp_path, tiny_images, monkeypatch):
    monkeypatch.setenv("WINNINGHAND_CACHE", str(tmp_path / "cache"))
    parts = {
        f"{name}_{part}": getattr(split, part)
        for name, split in (("train", tiny_images.train), ("test", tiny_images.test))
        for part in ("images", "labels")
    }
    np.savez(tmp_path / "tiny.npz", classes=np.array(tiny_images.classes), **parts)
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_is_run_shown_and_published(run, place):
    words = ("study", "study.toml", "--data", "tiny.npz", "--out", "out")
    code, out, err = run(*words, "--finished")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (place / "out").exists()
    code, out, err = run(*words, "--zoo", "zoo")
    assert (code, out) == (0, "")
    assert sorted(path.name for path in (place / "zoo").iterdir()) == [
        "both.deck",
        "both.json",
        "tiny-dense-clean.card",
        "tiny-dense-clean.json",
        "tiny-lrr50-clean.card",
        "tiny-lrr50-clean.json",
    ]
    results = wh.Results("out")
    dense = results.finished[0]
    row = next(line for line in (place / "out/table.md").read_text().splitlines() if "| dense |" in line)
    assert f"| {100 * dense.clean_accuracy:.2f} | {100 * dense.robust_accuracy:.2f} |" in row
    logged = (place / "out/log.md").read_text()
    assert f"| 1 | {dense.name} |  | 1 | 0.0 |" in logged
    assert [claim["name"] for claim in results.claims] == re.findall(
        r"^\| (C\d) \| ", (place / "out/claims.md").read_text(), re.MULTILINE
    )
    before = {path: path.stat().st_mtime_ns for path in (place / "out/results").rglob("*")}
    code, _, err = run(*words, "--finished")
    assert code == 0
    assert "done already" in err
    assert before == {path: path.stat().st_mtime_ns for path in (place / "out/results").rglob("*")}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--executor", "cereal"), "serial"),
        (("--zoo", "zoo"), "[zoo]"),
        (("--json", "-"), "--plan"),
        (("--plan", "--part", "elsewhere"), "leave --part out"),
        (("--part", "elsewhere"), "elsewhere holds nothing of this study"),
        (("--executor", "serial", "--workers", "2"), "leave out --executor serial"),
        (("--workers", "0"), "--workers"),
    ],
)
def test_a_study_that_cannot_be_is_one_line(run, place, words, named):
    (place / "study.toml").write_text(STUDY[: STUDY.index("[zoo]")])
    code, out, err = run("study", "study.toml", "--data", "tiny.npz", "--out", "out", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert named in err
    assert not (place / "out").exists()


def test_without_ray_one_run_follows_the_other(run, place, monkeypatch):
    monkeypatch.setattr("winninghand.cli.study.find_spec", lambda name: None)
    words = ("study", "study.toml", "--data", "tiny.npz", "--out", "out")
    code, out, err = run(*words, "--workers", "2")
    assert (code, out) == (0, "")
    assert "pip install 'winninghand[ray]'" in " ".join(err.split())
    assert len(wh.Results("out").finished) == 2
    monkeypatch.setitem(sys.modules, "ray", None)
    code, out, err = run(*words, "--ray", "127.0.0.1:1")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "pip install 'winninghand[ray]'" in err


def test_the_zoo_is_shown_and_written(run, tmp_path):
    (tmp_path / "a.md").write_text("<!-- zoo -->\n<!-- end of zoo -->\n")
    code, out, err = run("zoo", "--write", tmp_path / "a.md")
    assert (code, out) == (0, "")
    for name in wh.names("zoo"):
        record = json.loads((MODELS / f"{name}.json").read_text())
        figures = f"{100 * record['full']['clean_accuracy']:.1f}"
        assert any(name in line and figures in line for line in err.splitlines())
        assert f"| {name} | {figures} |" in (tmp_path / "a.md").read_text()


@pytest.mark.slow
def test_the_demo_leaves_cards_a_deck_and_a_page_and_goes_on_where_it_was(
    run, few_digits, tmp_path, monkeypatch
):
    few = few_digits(100, 20)
    monkeypatch.setattr("winninghand.studies.demo.load_images", lambda name: few)
    monkeypatch.setattr(
        "winninghand.studies.demo.Measurement",
        lambda *_, **how: Measurement("contrast,fog", (1, 5), **how),
    )
    monkeypatch.setattr("winninghand.studies.demo._EPOCHS", 1)
    monkeypatch.setattr("winninghand.studies.demo._NORMS_EPOCHS", 1)
    code, out, err = run("demo", "--out", tmp_path)
    assert (code, out) == (0, "")
    assert re.findall(r"^\[(\d)/6\]", err, re.MULTILINE) == list("123456")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 4  # two charts, each wide and narrow
    assert "Who plays when" in page and "What to do next" in page
    for path, name in (
        ("dense-clean.card", "dense network, clean"),
        ("dense-augmix.card", "dense network, AugMix"),
        ("lrr-augmix.card", "card, 90% sparse, AugMix"),
        ("deck.deck", "deck of that card"),
    ):
        table = wh.evaluate(tmp_path / path, few.test, "contrast,fog", (1, 5))
        size = f"{(tmp_path / path).stat().st_size:,}"
        accuracies = [f"{table.clean_accuracy:.1%}", f"{table.robust_accuracy:.1%}", size, "1.00"]
        assert re.search(rf"<td>{name}</td>\s*" + r"\s*".join(f"<td>{one}</td>" for one in accuracies), page)
        assert re.search(f"{name}.*" + ".*".join(accuracies), err)
    card, deck = wh.load(tmp_path / "lrr-augmix.card"), wh.load(tmp_path / "deck.deck")
    assert all(one.network.fc.weight.equal(card.network.fc.weight) for one in deck.cards)
    monkeypatch.setattr("winninghand.training.trainer.Trainer.run", None)
    before = (tmp_path / "corrupted/fog.npy").stat().st_mtime_ns
    assert run("demo", "--out", tmp_path)[0] == 0
    assert (tmp_path / "corrupted/fog.npy").stat().st_mtime_ns == before


def test_a_study_measures_the_fourier_heatmaps_that_it_asks_for(run, place):
    plain = STUDY[: STUDY.index("[zoo]")]
    asked = '[report]\nfourier = [{"compression.method" = "lrr"}]\nfourier_limit = 8\n'
    (place / "study.toml").write_text(plain + asked)
    words = ("study", "study.toml", "--data", "tiny.npz", "--out", "out")
    assert run(*words)[0] == 0
    results = wh.Results("out")
    (name,) = results.fourier
    heatmap = results.fourier[name]
    assert (name, heatmap.images, heatmap.errors.shape) == (results.finished[1].name, 8, (16, 16))
    (path,) = (place / "out/results/fourier").iterdir()
    before = path.stat().st_mtime_ns
    assert run(*words)[0] == 0
    assert path.stat().st_mtime_ns == before
    (place / "study.toml").write_text(plain + asked.replace("lrr", "ft"))
    code, _, err = run(*words)
    assert code == 2
    assert "report.fourier gives 'compression.method' the value 'ft', which it never has" in err


def test_a_run_that_fails_is_told_below_the_tables_of_the_others(run, place, monkeypatch):
    right = TrainAndMeasure.__call__

    def call(self, task):
        if task.spec.recipe.compression.method == "lrr":
            raise wh.InputError("no")
        return right(self, task)

    monkeypatch.setattr(TrainAndMeasure, "__call__", call)
    (place / "study.toml").write_text(STUDY[: STUDY.index("[zoo]")])
    code, _, err = run("study", "study.toml", "--data", "tiny.npz", "--out", "out")
    assert code == 2
    assert err.splitlines()[-1].startswith("winninghand: 1 of 2 runs failed, first lrr-clean-0-")
    assert err.index("claims") < err.index("without figures") < err.index("1 of 2 runs failed")
    (done,) = wh.Results("out").measured
    assert done.name in (place / "out/log.md").read_text()
    assert "dense" in (place / "out/table.md").read_text()
    assert "C1" in (place / "out/claims.md").read_text()
