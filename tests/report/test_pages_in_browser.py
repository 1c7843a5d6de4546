"""The pages of demo, evaluation and study in a browser: nothing sticks out, and its console stays empty."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from in_browser import CHROMIUM, told_by
from strict_parser import StrictParser

import winninghand as wh
from winninghand.evaluation import Cell, Interval, Outcome, RobustnessTable
from winninghand.report.evaluation_page import Evaluated, evaluation_page
from winninghand.report.page import Page, Section, Table, Tile
from winninghand.report.samples import contact_sheet
from winninghand.report.sections import choices_in, models_section, samples_section
from winninghand.report.study_page import Report, write_page

STUDIES = Path(__file__).parents[2] / "studies"
CARD = Path(__file__).parents[1] / "data/version_0_1.card"
# What is wider than the page, unless it stands in a box that scrolls by itself, and texts on each other.
WIDER = """
const tell = () => {
  const root = document.documentElement, out = [];
  if (root.scrollWidth > root.clientWidth) out.push(["the page", root.scrollWidth]);
  for (const one of document.body.querySelectorAll("*")) {
    const box = one.getBoundingClientRect();
    if (!box.width || one.closest(".scroll") || one.closest("#vg-tooltip-element")) continue;
    if (box.right > root.clientWidth + 0.5 || box.left < -0.5) out.push(one.outerHTML.slice(0, 99));
  }
  const svg = [...document.querySelectorAll("figure svg")].filter((one) => one.getBoundingClientRect().width);
  const small = svg.flatMap((one) => [...one.querySelectorAll("text")])
    .filter((one) => one.getBoundingClientRect().width && one.getAttribute("opacity") !== "0")
    .map((one) => Math.hypot(one.getScreenCTM().a, one.getScreenCTM().b));
  const met = svg.flatMap((one) => {
    const named = [...one.querySelectorAll(".mark-text.role-mark text")].filter((text) => text.textContent);
    const boxes = named.map((text) => [text.textContent, text.getBoundingClientRect()]);
    return boxes.flatMap(([name, a], at) => boxes.slice(0, at)
      .filter(([, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1)
      .filter(([, b]) => Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
      .map(([other]) => [name, other]));
  });
  const found = { out, met, width: root.clientWidth, scale: Math.min(...small), charts: svg.length };
  document.title = JSON.stringify(found);
};
new MutationObserver(tell).observe(document.documentElement, { attributeFilter: ["data-drawn"] });
addEventListener("load", () => setTimeout(tell, 200));
"""


def table(accuracy, cards=0):
    def outcome(share):
        weights = np.eye(cards, dtype=np.float32)[np.arange(40) % cards] if cards else None
        return Outcome(np.arange(40) < 40 * share, np.ones(40, np.float32), np.ones(40, np.float32), weights)

    cells = tuple(
        Cell(name, level, outcome(accuracy - 0.1 * level))
        for name in ("gaussian_noise", "motion_blur", "jpeg_compression")
        for level in (1, 3, 5)
    )
    return RobustnessTable(outcome(0.95), cells, 256, 0, {"frost": "its textures are not there"})


@cache
def sheet():
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    return contact_sheet(images, ["gaussian_noise", "contrast"], (1, 5))


def demo(path):
    """Write a page as the demo's."""
    tables = {"dense": table(0.9), "a card with a long name": table(0.8), "deck": table(0.9, cards=2)}
    rows = [[name, "95.0%", "60.0%", "1,234,567", "0.123", "1.00"] for name in tables]
    columns = ["model", "clean accuracy", "robust accuracy", "bytes", "ms per image", "passes"]
    sections = [
        Section("Models", ["a note"], tables=[Table(columns, rows)]),
        models_section(tables, "digits, 40 images, seed 0"),
        samples_section(sheet()),
    ]
    Page("Demo", "A page", ["words"], [Tile("robust", "60.0%", "note")], sections).write(path)


def evaluation(path):
    """Write a page as that of `evaluate --html`."""
    measured = table(0.9, cards=2)
    card = wh.load(CARD)
    found = Evaluated(
        "runs/a-long-name-without-any-space-in-it/deck.deck",
        "digits",
        "deck",
        356_184,
        measured,
        sheet(),
        choices_in(measured, [card, card]),
        "dense.card",
        {"robust_accuracy": Interval(0.1, 0.05, 0.15)},
        root=True,
    )
    evaluation_page(found).write(path)


def test_the_page_of_a_deck_of_one_body_tells_how_such_a_deck_is_made(tmp_path):
    found = Evaluated("a.deck", "digits", "deck", 356_184, table(0.9, cards=2), one_body=True)
    evaluation_page(found).write(tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "winninghand specialize CARD b.deck --set max_active=3" in page


def study(path):
    """Write the page of a study that the repository has."""
    write_page(Report.of(wh.Results(STUDIES / "cifar10-cpu/results")), path)


def protocols(path):
    """Write the page of a study under two protocols, whose front has names close to each other."""
    write_page(Report.of(wh.Results(STUDIES / "cpu-afternoon/results")), path)


# Of each table the columns that stand on the screen as it is opened, and the shadows that say there are more.
SEEN = """
addEventListener("load", () => setTimeout(() => {
  const tables = [...document.querySelectorAll(".scroll")].map((box) => {
    const edge = box.getBoundingClientRect().right + 0.5;
    const heads = [...box.querySelectorAll("th")].filter((one) => one.getBoundingClientRect().right <= edge);
    const look = getComputedStyle(box);
    return { seen: heads.map((one) => one.textContent), moves: look.backgroundAttachment };
  });
  document.title = JSON.stringify(tables);
}, 200));
"""


PAGES = {"demo": demo, "evaluation": evaluation, "study": study, "protocols": protocols}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return what gives a page by its name; each is written once."""

    @cache
    def written(name):
        path = tmp_path_factory.mktemp(name) / "page.html"
        PAGES[name](path)
        return path.read_text(encoding="utf-8")

    return written


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_sticks_out_of_a_page(page, tmp_path, name, width):
    found, console = told_by(page(name), tmp_path, WIDER, width, dark=width == 390)
    assert console == []
    assert found["out"] == []
    assert found["met"] == []  # of names and numbers in a chart
    assert found["width"] == width
    assert found["charts"] >= {"demo": 1, "evaluation": 2}.get(name, 7)
    assert found["scale"] >= 0.9  # texts keep their size, whatever the width


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize(("name", "least"), [("demo", [4, 4]), ("evaluation", [5, 2]), ("study", [4])])
def test_a_telephone_shows_the_columns_that_matter_and_says_that_there_are_more(page, tmp_path, name, least):
    found, _ = told_by(page(name), tmp_path, SEEN, 390)
    assert {one["moves"] for one in found} == {"local, local, scroll, scroll"}
    for one, count in zip(found, least, strict=False):
        assert len(one["seen"]) >= count, one
    if name == "study":
        assert found[0]["seen"][3:5] == ["clean", "robust"]
        assert found[1]["seen"][3:]  # corruptions, before the seeds
    if name == "demo":
        assert found[0]["seen"][:4] == ["model", "clean accuracy", "robust accuracy", "bytes"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_without_a_script(page, name):
    text = page(name)
    if name in ("study", "protocols"):
        assert text.count("<noscript>") == text.count('<div class="drawing">') > 0
    else:
        StrictParser(text)
        assert "<script" not in text
        assert not re.search(r'(src|href)="(?!data:|#)', text)
        names = re.findall(r' id="([^"]*)"', text)
        assert len(names) == len(set(names))
    assert "What to do next" in text or name == "demo"
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_the_page_of_an_evaluation_says_what_was_measured(page):
    text = re.sub(r"<[^>]*>", "|", page("evaluation"))
    assert "digits, 40 images, seed 0; 3 corruptions, generated images" in text
    assert "Left out: frost: its textures are not there." in text
    assert re.search(r"\|motion blur\|+80\.0\|+60\.0\|+40\.0\|+60\.0\|", text)
    assert re.search(r"\|motion blur\|+50\|+50\|", text)
    assert "+10.00 (+5.00 to +15.00)" in text
    assert re.search(r"winninghand heatmap \S+ --data digits --root FOLDER --out map.svg", text)
    assert "It is weakest under noise (60.0%)." in text or "It is weakest under blur (60.0%)." in text
