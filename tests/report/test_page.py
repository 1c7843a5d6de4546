import base64
import io
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from winninghand.base.charts import checked_picture_path, svg
from winninghand.base.errors import InputError
from winninghand.corruptions import corrupt
from winninghand.evaluation import Cell, Outcome, RobustnessTable
from winninghand.report.charts import accuracy_by_severity
from winninghand.report.page import Page
from winninghand.report.samples import contact_sheet

VOID = {"img", "meta", "br"}


class StrictParser(HTMLParser):
    """Refuses tags that are closed in another order than they were opened, and collects the table's cells."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.cells.append(data)


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


def test_a_contact_sheet_shows_clean_images_first():
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    sheet = np.asarray(contact_sheet(images, ["contrast", "brightness", "contrast"]))
    assert sheet.shape == (3 * 34, 6 * 34, 3)
    assert (sheet[:32, :32] == images[0]).all()
    assert (sheet[34:66, :32] == images[1]).all()
    assert sheet[:32, 170:202].std() < 0.3 * images[0].std()


def test_a_contact_sheet_shows_images_as_they_are_in_their_split():
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    sheet = np.asarray(contact_sheet(images, ["gaussian_noise"] * 2, seed=3))
    assert (sheet[34:66, 34:66] == corrupt(images, "gaussian_noise", 1, seed=3)[1]).all()


def test_the_page_is_self_contained_and_escapes_what_it_shows(tmp_path):
    page = Page(
        title="a < b",
        introduction="words",
        columns=["model", "accuracy"],
        rows=[["dense", "90%"], ["<card>", "80%"]],
        notes=["a note"],
        chart="<svg></svg>",
        sheet=Image.new("RGB", (12, 4)),
        corruptions=["fog"],
    )
    page.write(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "&lt;card&gt;" in text
    assert "<svg></svg>" in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    encoded = re.search(r"data:image/png;base64,([^\"]+)", text).group(1)
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (24, 8)
    assert StrictParser(text).cells == ["model", "accuracy", "dense", "90%", "<card>", "80%"]


def test_a_chart_stands_in_a_well_formed_page(tmp_path):
    table = RobustnessTable(outcome(0.9), (Cell("fog", 1, outcome(0.5)),), batch_size=256, seed=0)
    page = Page(
        "t",
        "i",
        ["model"],
        [["a"]],
        [],
        svg(accuracy_by_severity({"a": table})),
        Image.new("RGB", (6, 2)),
        ["fog"],
    )
    page.write(tmp_path / "report.html")
    StrictParser((tmp_path / "report.html").read_text())


def test_what_drawing_needs_is_missed_before_anything_is_measured(monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(InputError, match=r"pip install 'winninghand\[report\]'"):
        checked_picture_path("map.svg", is_chart=True)
