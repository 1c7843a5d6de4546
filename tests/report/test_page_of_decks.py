"""The page of a study that has decks: who plays when, on a telephone too, and what filters do to decks."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from in_browser import CHROMIUM, in_browser, told_by

import winninghand as wh
from winninghand.evaluation import CLEAN
from winninghand.report.study_page import Report, write_page
from winninghand.results import About, CellResult, ResultsWriter, RunResult

EVALUATION = {"corruptions": "fog", "severities": [1, 5], "limit": 20, "seed": 0, "batch_size": 256}
WEIGHTS = {(CLEAN, 0): (0.75, 0.25), ("fog", 1): (0.5, 0.5), ("fog", 5): (0.125, 0.875)}


def measured(about, weights=None):
    """Make a run that answers as many of 20 images wrongly as the severity says."""
    cells = [
        CellResult(
            *(corruption, severity, "generated", 1 - severity / 20, 0.5, 1.0, 0.1, 0.1, 1.0),
            correct=np.arange(20) >= severity,
            weights=None if weights is None else weights[corruption, severity],
        )
        for corruption, severity in WEIGHTS
    ]
    return RunResult.of(about, cells)


def card(domain, seed):
    """Make a card of a domain and a seed."""
    recipe = {
        "network": {"name": "conv2"},
        "domain": {"name": domain},
        "seed": seed,
        "compression": {"method": "lrr", "sparsity": 0.95},
        "quantization": {"weights": "none"},
    }
    choice = {"compression.method": "lrr", "domain": domain, "seed": seed}
    name = f"lrr-{domain}-{seed}"
    return measured(About(name, "card", "study", "tiny", EVALUATION, choice=choice, recipe=recipe, bytes=900))


def deck(seed):
    """Make a deck of both domains of a seed, under the name that a study of two protocols gives it."""
    members = (f"lrr-clean-{seed}", f"lrr-gaussian-{seed}")
    settings = {"members": members, "choice": {"gate": "weighted"}, "gate": "weighted", "bytes": 2000}
    about = About(f"lrr95-equal_schedule-{seed}", "deck", "study", "tiny", EVALUATION, **settings)
    return measured(about, WEIGHTS)


def report_of(cards, decks, folder):
    """Write a study of these cards and decks, and return its report."""
    writer = ResultsWriter(folder)
    planned = [{"run": run.name, "parent": None, "choice": run.about.choice} for run in cards]
    made = [{"run": run.name, "cards": [*run.about.members], "choice": run.about.choice} for run in decks]
    writer.write_study("decks", "tiny", EVALUATION, planned, wh.__version__, made)
    for run in (*cards, *decks):
        writer.add(run)
    return Report.of(wh.Results(folder))


@pytest.fixture
def report(tmp_path):
    cards = [card(domain, seed) for domain in ("clean", "gaussian") for seed in (0, 1)]
    return report_of(cards, [deck(0), deck(1)], tmp_path)


def test_who_plays_when_is_told_by_deck_and_card(report, tmp_path):
    (figure,) = [one for one in report.figures if one.name == "choices"]
    assert [column.title for column in figure.columns] == ["deck", "card", "clean", "fog"]
    shown = [[column.shown(row) for column in figure.columns] for row in figure.means]
    assert shown[:2] == [
        ["lrr95-equal_schedule-0", "1. clean", "75", "31"],
        ["lrr95-equal_schedule-0", "2. gaussian", "25", "69"],
    ]
    assert len(shown) == 4
    report.write_csv(tmp_path)
    with (tmp_path / "choices.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["card"], row["clean"], row["fog"]) for row in rows[2:]] == [
        ("1", "1. clean", "0.75", "0.3125"),
        ("1", "2. gaussian", "0.25", "0.6875"),
    ]


def test_decks_are_set_against_dense_networks_of_their_seeds(tmp_path):
    """The table gives decks of three cells as many points as plain means of the answers do."""
    generator = np.random.default_rng(0)

    def redrawn(run, network="conv2", method="lrr"):
        """Return a run that answers each image rightly or wrongly by chance."""
        recipe = run.about.recipe and {
            **run.about.recipe,
            "network": {"name": network},
            "compression": {"method": method, "sparsity": 0.95},
        }
        cells = [
            replace(cell, accuracy=answers.mean(), correct=answers)
            for cell in (run.clean, *run.cells)
            for answers in [generator.random(20) < 0.7]
        ]
        return RunResult.of(replace(run.about, recipe=recipe), cells)

    def named(run, name, members=None):
        about = replace(run.about, run=name, choice={**run.about.choice, "compression.method": name[:-2]})
        return replace(run, about=about if members is None else replace(about, members=members))

    dense = [redrawn(named(card("clean", seed), f"dense-{seed}"), method="dense") for seed in (0, 1)]
    wide = redrawn(named(card("clean", 0), "wide-0"), "conv4", "dense")
    cards = [redrawn(card(domain, seed)) for domain in ("clean", "gaussian") for seed in (0, 1)]
    members = tuple(run.name for run in cards)
    decks = [redrawn(deck(0)), redrawn(deck(1)), redrawn(named(deck(0), "all", members))]
    averages = [redrawn(named(deck(seed), f"pair-{seed}-average")) for seed in (0, 1)]
    report = report_of([*dense, wide, *cards], [*decks, *averages], tmp_path)
    (figure,) = [one for one in report.figures if one.name == "decks-against-dense"]
    assert all("conv4" not in row["dense"] for row in figure.rows)
    assert [row["deck"] for row in figure.means] == ["lrr95-equal_schedule", "all", "pair-average"]
    both, first, second, together = figure.rows[:4]
    assert [row["deck"] for row in (first, second)] == [run.name for run in decks[:2]]
    for row, theirs in ((first, dense[0]), (second, dense[1])):
        own = next(run for run in decks if run.name == row["deck"])
        assert row["robust"] == pytest.approx(own.robust_accuracy - theirs.robust_accuracy)
        assert row["clean"] == pytest.approx(own.clean_accuracy - theirs.clean_accuracy)
    assert both["robust"] == pytest.approx((first["robust"] + second["robust"]) / 2)
    assert both["robust_low"] < both["robust"] < both["robust_high"]
    mean = np.mean([run.robust_accuracy for run in dense])
    assert together["robust"] == pytest.approx(decks[2].robust_accuracy - mean)
    assert together["share"] == pytest.approx(2000 / 900)


# The texts beside the chart, line by line as they stand there, and what of the chart is cut off.
LABELS = """
const lines = (one) => [...one.querySelectorAll("tspan")].map((part) => part.textContent);
const tell = () => {
  const labels = [...document.querySelectorAll("#choices .role-axis-label text")];
  const edge = document.querySelector("#choices .drawing").getBoundingClientRect().right + 0.5;
  const texts = [...document.querySelectorAll("#choices svg text")];
  const cut = texts.filter((one) => one.getBoundingClientRect().right > edge).map((one) => one.textContent);
  const shown = labels.map((one) => (lines(one).length ? lines(one) : [one.textContent]));
  document.title = JSON.stringify([shown, cut]);
};
setInterval(() => { if (document.documentElement.dataset.drawn) tell(); }, 200);
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_each_card_of_each_deck_is_told_from_the_others(report, tmp_path, width):
    write_page(report, tmp_path / "page.html")
    found, console = told_by((tmp_path / "page.html").read_text(encoding="utf-8"), tmp_path, LABELS, width)
    labels, cut = found
    assert (console, cut) == ([], [])
    whole = [" · ".join(parts) for parts in labels]
    for seed in (0, 1):
        for name in ("1. clean", "2. gaussian"):
            assert f"lrr95-equal_schedule-{seed} · {name}" in whole, whole


# What is seen under an address, and after a link to a figure was followed.
FOLLOW = """
const decks = () => [...document.querySelectorAll("#decks tbody tr:not([hidden])")];
const found = [];
const steps = [() => { location.hash = "seed=1"; }, () => { location.hash = "decks"; }, () => {}];
addEventListener("load", () => setInterval(() => {
  if (!steps.length) return;
  found.push([location.hash, decks().map((row) => row.cells[0].textContent)]);
  steps.shift()();
  document.title = JSON.stringify(found);
}, 500));
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_filters_choose_decks_too_and_stay_in_the_address(report, tmp_path):
    write_page(report, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page, console = in_browser(text, tmp_path, script=FOLLOW)
    assert console == []
    found = json.loads(re.search("<title>(.*?)</title>", page, re.DOTALL)[1])
    both = ["lrr95-equal_schedule-0", "lrr95-equal_schedule-1"]
    assert found == [["", both], ["#seed=1", both[1:]], ["#seed=1", both[1:]]]
