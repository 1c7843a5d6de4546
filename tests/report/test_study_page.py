"""The report of a study: its figures are those of the Parquet files, wherever they stand."""

import csv
import dataclasses
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from in_browser import CHROMIUM, in_browser

import winninghand as wh
from winninghand.evaluation import CLEAN, Cell, Heatmap
from winninghand.evaluation import Outcome as Answers
from winninghand.report.study_page import Report, write_page
from winninghand.report.study_page.against_dense import dense_of, difference_figure
from winninghand.report.study_page.cards import corruption_figures
from winninghand.report.study_page.costs import mark_front
from winninghand.report.study_page.figure import MEAN
from winninghand.report.study_page.findings import findings
from winninghand.report.study_page.latex import escaped, write_latex
from winninghand.report.study_page.shown import shown_cards
from winninghand.results import About, CellResult, ResultsWriter, RunResult
from winninghand.results.fourier import write_fourier
from winninghand.results.outcomes import Outcome, write_outcomes

SHIPPED = Path(__file__).parents[2] / "studies/cifar10-cpu/results"
EVALUATION = {"corruptions": "fog", "severities": [1, 5], "limit": 20, "seed": 0, "batch_size": 256}
HOSTILE = "</script><script>alert(1)</script>"


class Tables(HTMLParser):
    """Collects the rows of each section's table, those that are hidden apart."""

    def __init__(self, text):
        super().__init__()
        self.section, self.rows, self.visible = None, {}, {}
        self.hidden = self.cell = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "section":
            self.section = given["id"]
            self.rows[self.section], self.visible[self.section] = [], []
        elif tag == "tr" and self.section:
            self.line, self.hidden = [], "hidden" in given
        elif tag in ("td", "th") and self.section:
            self.line.append("")
            self.cell = True

    def handle_data(self, data):
        if self.cell:
            self.line[-1] += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.cell = False
        elif tag == "tr" and self.section:
            self.rows[self.section].append(self.line)
            if not self.hidden:
                self.visible[self.section].append(self.line)

    def dicts(self, section, rows=None):
        head, *lines = (rows or self.rows)[section]
        return [dict(zip(head, line, strict=True)) for line in lines]


def run_of(name, seed, method="lrr", domain="clean", rate=0.6, epochs=4, dense_epochs=None, **network):
    """Make a run that answers `rate` of 40 images rightly, and fewer of corrupted ones."""
    generator = np.random.default_rng(seed)

    def cell(corruption, severity, share):
        confidence = generator.random(40).astype(np.float32)
        outcome = Answers(generator.random(40) < share, confidence, np.ones(40, np.float32))
        return CellResult.of(Cell(corruption, severity, outcome))

    recipe = {
        "network": {"name": "conv2", **network},
        "domain": {"name": domain},
        "seed": seed,
        "compression": {"method": method, "sparsity": 0.8},
        "quantization": {"weights": "none"},
        "training": {"epochs": epochs},
    }
    choice = {"compression.method": method, "domain": domain, "seed": seed, "training.epochs": epochs}
    choice |= {f"network.{key}": value for key, value in network.items()}
    cells = [cell(CLEAN, 0, rate), cell("fog", 1, rate - 0.1), cell(HOSTILE, 5, rate - 0.2)]
    known = {"choice": choice, "recipe": recipe, "dense_epochs": dense_epochs, "bytes": 1000 + seed}
    return RunResult.of(About(name, "card", "study", "tiny", EVALUATION, **known), cells)


@pytest.fixture
def study(tmp_path):
    """Write a study with strange names: a dense network, a card of two seeds, a run to come."""
    runs = [run_of("d", 0, "dense"), run_of("a", 0, domain=HOSTILE), run_of("b", 1, domain=HOSTILE)]
    writer = ResultsWriter(tmp_path / "study")
    planned = [{"run": run.name, "parent": None, "choice": run.about.choice} for run in runs]
    planned.append({"run": "late", "parent": None, "choice": {}})
    writer.write_study(f"50% & more_{HOSTILE}", "tiny", EVALUATION, planned, wh.__version__)
    for run in runs:
        writer.add(run)
    write_outcomes([Outcome("late", "failed", 3, HOSTILE, "failures/late.log")], writer.folder)
    errors = np.linspace(0, 1, 64).reshape(8, 8)
    write_fourier(tmp_path / "study/results", "a", Heatmap(errors, 0.25, 4.0, 40, 0))
    return tmp_path / "study"


def page_of(folder, path):
    write_page(Report.of(wh.Results(folder)), path)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("asked", "against"), [({"equal_schedule": 4}, "four"), ({"equal_epochs": 12}, "twelve")]
)
def test_a_card_is_shown_beside_the_dense_network_of_the_length_it_asks_for(asked, against):
    runs = [
        run_of("twelve", 0, "dense", epochs=12),
        run_of("four", 0, "dense"),
        run_of("card", 0, dense_epochs=asked),
    ]
    cards = [card for card in shown_cards(runs) if card.seed == "0"]
    card = next(card for card in cards if card.runs[0].name == "card")
    assert dense_of(card, cards).runs[0].name == against


def test_a_card_is_set_against_the_dense_network_of_each_protocol_by_seeds_and_images():
    both = {"equal_schedule": 4, "equal_epochs": 12}
    dense = [
        run_of(f"{epochs}-{seed}", seed, "dense", epochs=epochs) for epochs, seed in ((4, 0), (4, 1), (12, 1))
    ]
    lrr = [run_of(f"card-{seed}", seed, rate=0.7, dense_epochs=both) for seed in (0, 1)]
    rows = [row for row in difference_figure(shown_cards([*dense, *lrr])).rows if row["seed"] == MEAN]
    assert [(row["protocol"], row["seeds"]) for row in rows] == [("equal_schedule", 2), ("equal_epochs", 1)]
    first, second = rows
    assert first["clean"] == pytest.approx(
        np.mean([card.clean_accuracy - one.clean_accuracy for card, one in zip(lrr, dense, strict=False)])
    )
    assert second["robust"] == pytest.approx(lrr[1].robust_accuracy - dense[2].robust_accuracy)
    assert first["clean_low"] < first["clean"] < first["clean_high"]
    assert difference_figure(shown_cards(dense)) is None
    both = next(
        figure
        for figure in corruption_figures(shown_cards([dense[2], *lrr]), [*lrr])
        if "dense" in figure.name
    )
    mean = next(row for row in both.rows if row["seed"] == MEAN)
    assert mean["c0"] == pytest.approx(lrr[1].cells[0].accuracy - dense[2].cells[0].accuracy)
    told = next(text for text in findings(shown_cards([*dense, *lrr]), [], None) if "most robust" in text)
    for row in rows:
        assert f"{100 * row['robust_low']:+.2f} to {100 * row['robust_high']:+.2f}" in told.replace("−", "-")


def test_a_series_does_not_repeat_its_network():
    lengths = [(width, epochs) for width in (8, 16) for epochs in (4, 12)]
    runs = [run_of(f"{width}-{epochs}", 0, "dense", epochs=epochs, width=width) for width, epochs in lengths]
    places = [card.place for card in shown_cards(runs) if card.seed == MEAN]
    assert {place.series for place in places} == {"dense epochs 4", "dense epochs 12"}
    assert len({place.label for place in places}) == 4


def test_the_numbers_on_the_page_are_those_of_the_parquet_file(tmp_path):
    """They are made from the file here without the library's own code."""
    cells = pq.read_table(SHIPPED / "cells.parquet").to_pylist()
    cells = [row for row in cells if row["measured_on"] == "study"]
    tables = Tables(page_of(SHIPPED, tmp_path / "report.html"))

    def mean(values):
        return f"{100 * np.mean(values):.2f}"

    found = {}
    for row in tables.dicts("accuracy"):
        found[row["card"], row["domain"], row["sparsity"], row["seed"]] = row
    chosen = {}
    for row in cells:
        if row["kind"] == "card":
            for seed in ("mean", str(row["seed"])):
                chosen.setdefault(
                    (row["method"], row["domain"], f"{100 * row['sparsity']:.1f}", seed), []
                ).append(row)
    assert chosen.keys() == found.keys()
    for key, rows in chosen.items():
        assert found[key]["robust"].split(" ")[0] == mean(
            [row["accuracy"] for row in rows if row["severity"]]
        )
        clean = [row["accuracy"] for row in rows if not row["severity"]]
        spread = f" ± {100 * np.std(clean, ddof=1):.2f}" if len(clean) > 1 else ""
        assert found[key]["clean"] == mean(clean) + spread
    for row in tables.dicts("corruptions"):
        rows = chosen[row["card"], row["domain"], row["sparsity"], row["seed"]]
        assert row["motion blur"] == mean(
            [one["accuracy"] for one in rows if one["corruption"] == "motion_blur"]
        )
    for row in tables.dicts("calibration"):
        rows = chosen[row["card"], row["domain"], row["sparsity"], row["seed"]]
        errors = [one["expected_calibration_error"] for one in rows if one["severity"]]
        assert row["ECE, corrupted"] == mean(errors)
    (deck,) = tables.dicts("decks")
    rows = [row for row in cells if row["run"] == deck["deck"] and row["severity"]]
    assert (deck["robust"], deck["bytes"]) == (
        mean([row["accuracy"] for row in rows]),
        f"{rows[0]['bytes']:,}",
    )
    assert {row["run"] for row in tables.dicts("runs")} == {
        row["run"] for row in cells if row["kind"] == "card"
    }
    assert len(tables.dicts("failures")) == 3
    drawn = json.loads(re.search(r'id="data">(.*?)</script>', (tmp_path / "report.html").read_text())[1])
    assert len(drawn["figures"]["accuracy"]["rows"]) == len(found)


def test_nothing_is_fetched_and_strange_names_are_text(study, tmp_path):
    text = page_of(study, tmp_path / "report.html")
    assert HOSTILE not in text
    assert html.escape(HOSTILE) in text
    markup = re.sub(r"(<script[^>]*>).*?</script>", r"\1", text, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!#)', markup)
    assert len(text) < 3e6
    tables = Tables(text)
    assert [row["seed"] for row in tables.dicts("accuracy", tables.visible)] == ["mean", "mean"]
    assert tables.dicts("failures") == [
        {"run": "late", "state": "failed", "attempts": "3", "error": HOSTILE, "log": "failures/late.log"}
    ]
    (row,) = tables.dicts("fourier")
    assert (row["clean"], row["mean over frequencies"], row["worst"]) == ("25.00", "50.00", "100.00")
    assert row["at (vertical, horizontal)"] == "3, 3"


def test_nothing_cheaper_is_better_than_what_lies_on_the_front():
    rows = [
        {"seed": seed, "bytes": size, "robust": robust}
        for seed, size, robust in [
            ("mean", 10, 0.5),
            ("mean", 20, 0.4),
            (None, 30, 0.7),
            ("0", 5, 0.9),
            ("mean", 30, 0.6),
        ]
    ]
    mark_front(rows, "bytes")
    assert [row["bytes_front"] for row in rows] == [True, False, True, False, False]


def test_csv_files_hold_every_digit(study, tmp_path):
    Report.of(wh.Results(study)).write_csv(tmp_path / "csv")
    with (tmp_path / "csv/accuracy.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    run = wh.Results(study).finished[1]
    row = next(row for row in rows if (row["seed"], row["domain"]) == ("0", HOSTILE))
    assert float(row["robust"]) == run.robust_accuracy
    assert float(row["robust_low"]) == run.robust_interval.low
    with (tmp_path / "csv/corruptions.csv").open(newline="", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if (row["seed"], row["domain"]) == ("0", HOSTILE))
    assert {corruption: float(row[corruption]) for corruption in ("fog", HOSTILE)} == {
        cell.corruption: cell.accuracy for cell in run.cells
    }


def test_what_was_measured_otherwise_than_is_asked_for_now_is_not_finished(study):
    writer, known = ResultsWriter(study), wh.Results(study).study
    asked = {**EVALUATION, "limit": 10}
    writer.write_study(known["title"], "tiny", asked, known["runs"], wh.__version__)
    with pytest.raises(wh.InputError, match=r"no run of the study .* is finished"):
        Report.of(wh.Results(study))
    again = run_of("a", 0)
    writer.add(dataclasses.replace(again, about=dataclasses.replace(again.about, evaluation=asked)))
    report = Report.of(wh.Results(study))
    assert report.introduction.startswith("1 of 4 runs is finished")
    (figure,) = [one for one in report.figures if one.name == "failures"]
    assert {row["run"]: row["state"] for row in figure.rows} == {
        "late": "failed",
        "d": "not finished",
        "b": "not finished",
    }


def test_latex_escapes_what_it_must():
    assert escaped("50% & a_b ± −1 “中”") == r"50\% \& a\_b $\pm$ $-$1 ``U+4E2D''"
    assert escaped("Ħ") == "U+0126"
    assert escaped("\\~^") == r"\textbackslash{}\textasciitilde{}\textasciicircum{}"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no LaTeX")
def test_the_latex_document_compiles(study, tmp_path):
    Report.of(wh.Results(study)).write_latex(tmp_path / "latex")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(words, cwd=tmp_path / "latex", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "latex/report.pdf").stat().st_size > 10_000


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no LaTeX")
def test_every_letter_that_is_kept_can_be_set(tmp_path):
    write_latex("".join(map(chr, range(0x20, 0x2200))), [], tmp_path)
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_filters_act_on_charts_and_tables_in_a_browser(study, tmp_path):
    page = page_of(study, tmp_path / "report.html")
    click = """
    addEventListener("load", () => {
      const box = document.querySelector('fieldset[data-key="method"] input[value="dense"]');
      box.click();
      const seed = document.querySelector('fieldset[data-key="seed"] select');
      seed.value = "1";
      seed.dispatchEvent(new Event("change", { bubbles: true }));
    });
    """
    whole, console = in_browser(page, tmp_path)
    assert console == []
    assert len(re.findall(r'<svg[^>]*class="marks"', whole)) == 7
    chosen, console = in_browser(page, tmp_path, script=click)
    assert console == []
    tables = Tables(chosen)
    rows = tables.dicts("accuracy", tables.visible)
    assert [(row["card"], row["seed"]) for row in rows] == [("lrr", "1")]
    legend = re.search(r'<section id="accuracy">.*?<div class="legend">(.*?)</div>', chosen, re.DOTALL)[1]
    assert "lrr" in legend
    assert "dense" not in legend
    width = """
    const root = document.documentElement;
    const tell = () => { document.title = root.scrollWidth - root.clientWidth; };
    new MutationObserver(tell).observe(root, { attributeFilter: ["data-drawn"] });
    if (root.dataset.drawn) tell();
    """
    seen, _ = in_browser(page, tmp_path, "#seed=0", width)
    tables = Tables(seen)
    assert {row["seed"] for row in tables.dicts("accuracy", tables.visible)} == {"0"}
    assert "<title>0</title>" in seen
