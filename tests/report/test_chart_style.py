"""One style for all charts: no text is cut off, colours can be told apart, light and dark."""

import re
import sys
from itertools import combinations

import numpy as np
import pytest
from in_browser import CHROMIUM, told_by

import winninghand as wh
from winninghand.base.chart_style import DARK, LIGHT, looks
from winninghand.base.charts import drawing, svg
from winninghand.base.svg_room import text_boxes
from winninghand.corruptions import corruption_names
from winninghand.decks.choices import choices_chart
from winninghand.evaluation import Cell, Heatmap, Outcome, RobustnessTable
from winninghand.report.charts import accuracy_by_severity
from winninghand.report.theory import check_chart
from winninghand.theory.statements import Check
from winninghand.theory.statements.statement import Point

LONG = "a model whose name is long, which Many Wide Words Make"
# Machado, Oliveira and Fernandes 2009, severity 1.
SEEN_BY = {
    "all": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour):
    values = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    dark, light = sorted(float(TO_XYZ[1] @ linear(colour)) + 0.05 for colour in (one, other))
    return light / dark


def lab(rgb):
    shares = TO_XYZ @ np.clip(rgb, 0, 1) / (0.95047, 1, 1.08883)
    f = np.where(shares > 0.008856, np.cbrt(shares), 7.787 * shares + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def outcome(accuracy):
    correct = np.arange(200) < 200 * accuracy
    return Outcome(correct, np.ones(200, np.float32), np.ones(200, np.float32))


def charts():
    """Return one chart of each kind, with long names."""
    cells = tuple(Cell(name, level, outcome(0.5)) for name in corruption_names() for level in (1, 5))
    table = RobustnessTable(outcome(0.9), cells, batch_size=256, seed=0)
    shares = [
        {"corruption": name, "severity": level, "card": card, "weight": 0.5}
        for name in ("gaussian_noise", "elastic_transform")
        for level in (1, 2)
        for card in ("1. clean", LONG)
    ]
    points = [Point("subsets, ε = 0.01", 10, 0.5), Point(f"bound, {LONG}", 20, 0.2)]
    return {
        "table": table.plot(LONG),
        "models": accuracy_by_severity({"dense": table, LONG: table}, LONG),
        "narrow": accuracy_by_severity({"dense": table, LONG: table}, narrow=True),
        "choices": choices_chart(shares, caption=f"{LONG}, {LONG}"),
        "map": Heatmap(np.eye(8), 0.1, 4.0, 200, 0).plot(title=f"{LONG} 日本語"),
        "check": check_chart(Check("samples", "error", tuple(points))),
    }


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_can_be_seen_and_told_apart(colours):
    series = [f"c{number}" for number in range(8)]
    for name, colour in colours.items():
        least = {"ink": 7, "muted": 4.5, "accent": 4.5, "paper": 1, "raised": 1, "line": 1}.get(name, 3)
        assert contrast(colour, colours["paper"]) >= least, name
    for matrix in SEEN_BY.values():
        for one, other in combinations(series, 2):
            gap = lab(matrix @ linear(colours[one])) - lab(matrix @ linear(colours[other]))
            assert np.linalg.norm(gap) >= 17, (one, other)
    assert len({(look.colour, look.shape) for look in looks(range(24)).values()}) == 24


def test_every_text_has_room_within_the_picture():
    for name, chart in charts().items():
        text = svg(chart)
        left, top, width, height = map(float, re.search(r'viewBox="([^"]*)"', text)[1].split())
        boxes = list(text_boxes(text))
        assert len(boxes) > 5, name
        for box in boxes:
            assert left <= box.left and box.right <= left + width, name
            assert top <= box.top and box.bottom <= top + height, name


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_no_text_is_cut_off_in_a_browser(tmp_path):
    """Also in a wider font than was measured: without Arial, DejaVu Sans is what Linux shows."""
    pictures = [svg(chart) for chart in charts().values()]
    pictures += [re.sub(r'font-family="[^"]*"', 'font-family="DejaVu Sans"', one) for one in pictures]
    script = """
    const out = [];
    document.querySelectorAll("body > div > svg").forEach((picture, number) => {
      const room = picture.getBoundingClientRect();
      for (const text of picture.querySelectorAll("text")) {
        const box = text.getBoundingClientRect();
        if (!box.width || text.getAttribute("opacity") === "0") continue;
        if (box.left < room.left || box.right > room.right || box.top < room.top || box.bottom > room.bottom)
          out.push([number, text.textContent]);
      }
    });
    document.title = JSON.stringify(out);
    """
    divs = "".join(f"<div style='width: 3000px'>{one}</div>" for one in pictures)
    cut, console = told_by(f"<html><head></head><body>{divs}</body></html>", tmp_path, script, 3000)
    assert (cut, console) == ([], [])


def test_a_dark_form_stands_beside_the_light_one():
    text = svg(charts()["models"])
    assert f'[stroke="{LIGHT["c0"]}"]{{stroke:{DARK["c0"]}}}' in text
    assert "screen and (prefers-color-scheme:dark)" in text
    assert f'fill="{LIGHT["paper"]}"' in text


def test_pictures_are_written_by_their_suffix(tmp_path):
    chart = charts()["models"]
    assert wh.save_picture(chart, tmp_path / "a.SVG").read_text().startswith("<svg")
    assert wh.save_picture(chart, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(wh.InputError, match=r"written as \.svg or \.png, not as '.*a\.pdf'; rename it"):
        wh.save_picture(chart, tmp_path / "a.pdf")
    with pytest.raises(wh.InputError, match="a chart or a contact sheet, not an int"):
        wh.save_picture(3, tmp_path / "b.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.SVG", "a.png"]


@pytest.mark.parametrize("module", ["altair", "vl_convert"])
def test_what_draws_is_missed_in_one_line(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(wh.InputError, match=rf"^{module} is needed .* pip install 'winninghand\[report\]'$"):
        drawing()
