import base64
import io
import re
import sys

import numpy as np
import pytest
from PIL import Image
from strict_parser import StrictParser

from winninghand.base.charts import checked_picture_path, save_picture, svg
from winninghand.base.errors import InputError
from winninghand.corruptions import corrupt
from winninghand.evaluation import Cell, Outcome, RobustnessTable
from winninghand.report.charts import accuracy_by_severity
from winninghand.report.page import Chart, Page, Section, Shaded, Step, Strip, Table, Tile
from winninghand.report.samples import contact_sheet, data_uri


def outcome(accuracy):
    correct = np.arange(20) < 20 * accuracy
    return Outcome(correct, np.ones(20, np.float32), np.ones(20, np.float32))


def test_the_chart_has_a_line_per_model():
    cells = tuple(Cell("contrast", severity, outcome(0.5)) for severity in (1, 2))
    table = RobustnessTable(outcome(0.9), cells, batch_size=256, seed=0)
    text = svg(accuracy_by_severity({"dense": table, "card <b>": table}))
    assert text.startswith("<svg")
    assert "dense" in text
    assert "card &lt;b&gt;" in text


def test_a_contact_sheet_shows_images_as_they_are_in_their_split():
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    sheet = contact_sheet(images, ["contrast", "gaussian_noise", "brightness"], (1, 5), seed=3, data="noise")
    assert (sheet.names, sheet.columns) == (("contrast", "gaussian_noise", "brightness"), ("clean", "1", "5"))
    assert sheet.caption == "noise, 2 images, seed 3"
    assert [strip.shape for strip in sheet.strips] == [(32, 3 * 34 - 2, 3)] * 3
    assert (sheet.strips[0][:, :32] == images[0]).all() and (sheet.strips[2][:, :32] == images[0]).all()
    noisy = corrupt(images, "gaussian_noise", 1, seed=3)[1]
    assert (sheet.strips[1][:, 34:66] == noisy).all()
    whole = np.asarray(Image.open(io.BytesIO(sheet.png())))
    assert whole.shape[:2] == sheet.size[::-1]
    left = sheet.margin + 2 * 34
    assert (whole[28 + 68 : 28 + 132 : 2, left : left + 64 : 2] == noisy).all()


def test_a_contact_sheet_is_one_svg(tmp_path):
    images = np.zeros((1, 16, 16, 3), np.uint8)
    text = save_picture(contact_sheet(images, "contrast", (5,)), tmp_path / "a.svg").read_text()
    assert text.count("<image ") == 1
    assert {box[1] for box in re.findall(r"(<text [^>]*>)([^<]*)", text)} == {
        "clean",
        "5",
        "contrast",
        "1 image, seed 0",
    }
    encoded = re.search(r"data:image/png;base64,([^\"]+)", text)[1]
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (34, 16)
    with pytest.raises(InputError, match="unknown corruption"):
        contact_sheet(images, "mist")


def test_the_page_is_self_contained_and_escapes_what_it_shows(tmp_path):
    strip = Strip("fog", data_uri(Image.new("RGB", (6, 2))), "an image")
    page = Page(
        "Demo",
        "a < b",
        ["words"],
        [Tile("clean", "90%", "a note")],
        [
            Section(
                "Models",
                charts=[Chart("a chart", '<svg><g id="a"/></svg>', '<svg><g id="a"/></svg>')],
                tables=[Table(["model", "accuracy"], [["dense", "90%"], ["<card>", Shaded("80%", 0.2)]])],
                strips=[strip],
                steps=[Step("Go on.", "winninghand zoo")],
            )
        ],
    )
    page.write(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "&lt;card&gt;" in text
    assert '<svg><g id="g1-a"/></svg>' in text and '<svg><g id="g2-a"/></svg>' in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert StrictParser(text).cells == ["model", "accuracy", "dense", "90%", "<card>", "80%"]


def test_what_drawing_needs_is_missed_before_anything_is_measured(monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(InputError, match=r"pip install 'winninghand\[report\]'"):
        checked_picture_path("map.svg", is_chart=True)
