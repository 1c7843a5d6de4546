"""What notebooks and consoles show of cards, decks, tables and image sets."""

import json
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import winninghand as wh
from winninghand.base.html import Markup, html_table
from winninghand.cards import Inspection, Layer
from winninghand.evaluation import Cell, Heatmap, Outcome, RobustnessTable
from winninghand.images.preparation import Origin, Preparation
from winninghand.spectra import SpectralProfile

STRANGE = "<b>\x1b[2J\n"
VOID = {"img"}


class Checked(HTMLParser):
    """Refuses tags that are closed in another order than they were opened; keeps the rows' texts."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.pictures = [], [], 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.pictures += tag == "img"
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.rows and self.rows[-1] and ("td" in self.open or "th" in self.open):
            self.rows[-1][-1] += data


def card_of(images):
    module = wh.network("conv2", width=2, classes=2, input_size=16)
    return wh.Card.from_module(module, images.classes, images.train.size)


def outcome(accuracy):
    correct = np.arange(20) < 20 * accuracy
    return Outcome(correct, np.ones(20, np.float32), np.ones(20, np.float32))


@pytest.fixture
def table():
    accuracies = {("fog", 1): 0.8, ("fog", 3): 0.5, ("contrast", 1): 0.7}
    cells = tuple(Cell(*place, outcome(accuracy)) for place, accuracy in accuracies.items())
    return RobustnessTable(outcome(0.9), cells, batch_size=256, seed=0)


def test_a_card_and_a_deck(tiny_images):
    card = card_of(tiny_images).with_metadata(domain={"name": STRANGE}, accuracies={"test": 0.5})
    deck = wh.Deck([card, card], "average")
    for model in (card, deck):
        assert "\n" not in repr(model) and "\x1b" not in repr(model)
        text = model._repr_html_()
        assert not set("\x1b\n") & set(text)
        assert "<b>\\x1b" not in text
    sheet = {row[0]: row[1] for row in Checked(card._repr_html_()).rows}
    assert sheet["domain"] == r"<b>\x1b[2J\n"
    assert sheet["classes"] == "2: dark, bright"
    assert sheet["accuracies"] == "test 50.00%"
    assert card.data_sheet() == sheet
    rows = Checked(deck._repr_html_()).rows
    assert rows[-1][:2] == ["2", "conv2"]


def test_a_table(table):
    assert repr(table) == "RobustnessTable(clean 90.0%, robust 66.7%)"
    assert Checked(table._repr_html_()).rows == [
        ["corruption", "1", "3", "mean"],
        ["fog", "80.0%", "50.0%", "65.0%"],
        ["contrast", "70.0%", "", "70.0%"],
    ]
    bare = RobustnessTable(outcome(0.9), (), batch_size=256, seed=0)
    assert repr(bare) == "RobustnessTable(clean 90.0%)"
    assert "clean 90.0%" in bare._repr_html_()
    with pytest.raises(wh.InputError, match="no corruption to draw"):
        bare.plot()


def test_the_chart_of_a_table(table, tmp_path):
    pytest.importorskip("altair")
    chart = table.plot()
    values = json.loads(chart.to_json())
    (rows,) = [one["values"] for one in [values["data"]]]
    found = {(row["corruption"], row["severity"]): row["accuracy"] for row in rows}
    assert found["fog", 0] == found["mean", 0] == 0.9
    assert found["mean", 1] == pytest.approx(0.75)
    assert found["contrast", 1] == pytest.approx(0.7)
    chart.save(tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").read_text().startswith("<svg")


def test_a_data_frame(table):
    pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert list(frame["corruption"]) == ["clean", "fog", "fog", "contrast"]
    assert frame.loc[frame.severity > 0, "accuracy"].mean() == pytest.approx(table.robust_accuracy)


@pytest.mark.parametrize(
    ("module", "extra", "call"), [("pandas", "pandas", "to_pandas"), ("altair", "report", "plot")]
)
def test_what_is_missing_is_told_in_one_line(table, monkeypatch, module, extra, call):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(wh.InputError, match=rf"{module} is needed .* pip install 'winninghand\[{extra}\]'"):
        getattr(table, call)()


def test_what_holds_arrays_is_one_short_line(tiny_images):
    profile = SpectralProfile.of(torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16))
    assert repr(profile) == "SpectralProfile(16×9, plain, with that of clean images)"
    heatmap = Heatmap(np.full((4, 4), 0.5), clean_error=0.25, norm=4.0, images=9, seed=0)
    assert repr(heatmap) == "Heatmap(4×4 frequencies of norm 4, error 25.0% clean, 50.0% on average)"
    counts = Inspection(1000, 300, (Layer("a", (500,), 100),))
    assert repr(counts) == "Inspection(1,000 parameters, 300 not zero, sparsity 80.00%, 1 layer)"


def test_an_image_set(tiny_images):
    found = Checked(tiny_images._repr_html_())
    assert found.rows[1:] == [["dark", "64", "16", ""], ["bright", "64", "16", ""]]
    assert found.pictures == 2
    drawn = replace(tiny_images, origin=Origin(Preparation(), drawn=True))
    assert "test images drawn: 0.2 of each class by seed 0" in drawn._repr_html_()
    labels = np.arange(30)
    split = (np.zeros((30, 4, 4, 3), np.uint8), labels)
    many = wh.ImageSet.from_arrays(split, split, [f"<i>{number}" for number in labels], name="a\nb")
    assert repr(many) == r"ImageSet(a\nb, 30 train and 30 test images, 4×4, 30 classes)"
    rows = Checked(many._repr_html_()).rows
    assert rows[1][0] == "<i>0"
    assert rows[-1] == ["and 10 more", "10", "10", ""]


def test_markup_is_kept_and_text_escaped():
    assert html_table(["<"], [[Markup("<br>"), "<"]]).count("&lt;") == 2
