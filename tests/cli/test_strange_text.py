"""A stranger's text, in names of files and classes, moves no cursor, forges no line and breaks no column."""

import csv
import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

import winninghand as wh
from winninghand.base.progress import progress_bar
from winninghand.report import terminal
from winninghand.report.page import Chart, Page, Section, Step, Tile
from winninghand.report.page import Table as PageTable
from winninghand.report.study_tables import markdown

STRANGE = "cat\x1b[2K\r\t\n\u202egpj\x9b[bold]"
SHOWN = r"cat\x1b[2K\r\t\n\u202egpj\x9b[bold]"
CONTROLS = set("\x1b\r\x9b\u202e\u2028\t")


@pytest.fixture
def place(tmp_path):
    torch.manual_seed(0)
    module = wh.network("conv2", width=2, classes=2, input_size=16)
    wh.Card.from_module(module, ["cat", "dog"], (16, 16)).save(tmp_path / "a.card")
    (tmp_path / "pictures").mkdir()
    for name in (f"{STRANGE}.png", os.fsdecode(b"\xff.png")):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "pictures" / name)
    (tmp_path / f"pictures/broken{STRANGE}.png").write_bytes(b"nothing")
    (tmp_path / f"pictures/left{STRANGE}.out").write_bytes(b"nothing")
    return tmp_path


def test_predictions_stay_one_line_each_of_four_columns(run, place):
    code, out, err = run("predict", place / "a.card", place / "pictures")
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [len(row) for row in rows] == [4, 4, 4]
    assert f"{SHOWN}.png" in out
    assert r"\udcff.png" in out
    assert not CONTROLS & set(out.replace("\t", "") + err)


def test_json_keeps_the_names_as_they_are(run, place):
    _, out, _ = run("predict", place / "a.card", place / "pictures", "--json", "-")
    found = {Path(row["file"]).name for row in json.loads(out)["predictions"]}
    assert found == {f"{STRANGE}.png", os.fsdecode(b"\xff.png")}


def test_a_class_name_of_a_card_in_memory(run, place, monkeypatch):
    monkeypatch.setattr("winninghand.cards.card.Card.classes", property(lambda self: (STRANGE, STRANGE)))
    _, out, _ = run("predict", place / "a.card", place / "pictures" / f"{STRANGE}.png")
    assert out.splitlines()[1].split("\t")[1] == SHOWN


def test_a_csv_file_has_one_line_for_each_file(run, place):
    run("predict", place / "a.card", place / "pictures", "--csv", place / "out.csv")
    text = (place / "out.csv").read_text()
    assert text.count("\n") == 4
    assert f"{SHOWN}.png" in text
    assert not CONTROLS & set(text)


def test_a_csv_file_holds_no_formula(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = wh.network("conv2", width=2, classes=2, input_size=16)
    wh.Card.from_module(module, ["=1+1", "@SUM(A1)"], (16, 16)).save("a.card")
    Path("-2").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("+1.png")
    for name in ("-2/a-b.png", "-2/broken=.png"):
        Path(name).write_bytes(Path("+1.png").read_bytes() if "a-b" in name else b"nothing")
    code, out, _ = run("predict", "a.card", "--top", 2, "--csv", "out.csv", "--", "+1.png", "-2")
    assert code == 0
    assert {"+1.png", "-2/a-b.png"} == {line.split("\t")[0] for line in out.splitlines()[1:]}
    with Path("out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["file"] for row in rows) == ["'+1.png", "'-2/a-b.png", "'-2/broken=.png"]
    read = [row for row in rows if not row["error"]]
    assert all({row["class"], row["class 2"]} == {"'=1+1", "'@SUM(A1)"} for row in read)
    assert all(abs(float(row["probability"]) + float(row["probability 2"]) - 1) < 1e-3 for row in read)
    [error] = [row["error"] for row in rows if row["error"]]
    assert error.startswith("'-2/broken=.png cannot be read")


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", f"{STRANGE}.card"),
        ("inspect", STRANGE),
        ("names", STRANGE),
        (STRANGE,),
        ("evaluate", "a.card", f"--{STRANGE}"),
        ("evaluate", "a.card", "--data", STRANGE),
        ("evaluate", "a.card", "--device", STRANGE),
        ("evaluate", "a.card", "--corruptions", STRANGE),
        ("train", f"{STRANGE}.toml"),
        ("train", "recipe.toml", "--set", f"{STRANGE}=1"),
        ("deck", f"{STRANGE}/", f"{STRANGE}"),
        ("import", STRANGE, "x.card", "--architecture", STRANGE),
        ("export", "a.card", STRANGE),
    ],
)
def test_errors_are_one_line(run, place, monkeypatch, words):
    monkeypatch.chdir(place)
    (place / "recipe.toml").write_text("")
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not CONTROLS & set(err)


def test_an_unexpected_fault_and_what_is_logged_are_one_line(run, monkeypatch):
    def faulty(_=None):
        logging.getLogger("winninghand.images").warning("%s: left out", STRANGE)
        raise RuntimeError(f"first\nsecond {STRANGE}")

    monkeypatch.setattr("winninghand.catalog.names", faulty)
    code, _, err = run("names", "gates")
    first, second = err.splitlines()
    assert (code, first) == (1, r"winninghand: cat\x1b[2K \u202egpj\x9b[bold]: left out")
    assert second.startswith(r"winninghand: RuntimeError: first second cat\x1b[2K \u202egpj\x9b[bold]")


def test_tables_titles_and_lines_of_the_terminal(capsys, monkeypatch):
    console = terminal._Terminal(stderr=True, width=200, markup=False, emoji=False)
    monkeypatch.setattr(terminal, "console", console)
    terminal.say(f"a {STRANGE}")
    terminal.print_models([STRANGE, "b"], [[STRANGE, "1"]], STRANGE)
    console.print(Table(STRANGE, title=STRANGE))
    printed = capsys.readouterr().err
    assert f"a {SHOWN}\n" in printed
    assert printed.count(SHOWN) == 6
    assert not CONTROLS & set(printed)


def test_progress_notes(capsys, monkeypatch):
    monkeypatch.setattr(
        "winninghand.base.progress.Console",
        lambda stderr: Console(stderr=True, force_terminal=True, width=200),
    )
    with progress_bar(STRANGE, 2) as progress:
        progress(1, STRANGE)
    printed = capsys.readouterr().err
    assert SHOWN in printed
    assert "\u202e" not in printed
    assert "\x9b" not in printed


def test_markdown_and_html(tmp_path):
    assert markdown(["a|b"], [[STRANGE]]).splitlines() == [r"| a\|b |", "| --- |", f"| {SHOWN} |"]
    pytest.importorskip("jinja2")
    chart = Chart("\u202e", "<svg/>", "<svg/>")
    section = Section("a", ["\u202e"], [chart], [PageTable([STRANGE], [["<b>"]])], steps=[Step("b", STRANGE)])
    page = Page("<i>", STRANGE, ["<script>"], [Tile(STRANGE, "1")], [section])
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert f"<title>{SHOWN}</title>" in text
    assert "&lt;script&gt;" in text
    assert "<svg/>" in text
    assert "\u202e" not in text
