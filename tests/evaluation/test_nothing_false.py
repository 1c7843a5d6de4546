"""Figures that say what they measure: each cell once, real probabilities, no machine's paths."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_outcomes import outcome_of
from torch import nn

import winninghand as wh
from winninghand.base.errors import percent
from winninghand.decks import fit_gate
from winninghand.evaluation import Cell, Measurement, RobustnessTable, accuracy, fourier_heatmap
from winninghand.images import Split
from winninghand.results.runs import RunResult


class Constant(nn.Module):
    """Logits that are the same for every image."""

    def __init__(self, logits):
        super().__init__()
        self.values = nn.Buffer(torch.tensor(logits))

    def forward(self, images):
        return self.values.expand(len(images), -1)


def test_a_cell_counts_once(tiny_images):
    table = wh.evaluate(
        Constant([1.0, 0.0]), tiny_images.test, ["contrast", "contrast"], [5, 5, 1, np.int64(5)]
    )
    assert [(cell.corruption, cell.severity) for cell in table.cells] == [("contrast", 5), ("contrast", 1)]
    assert len(Measurement("contrast,contrast", (1, 1))) == 2
    metric = wh.metrics.RobustAccuracy("contrast,contrast", [1, 1])
    assert (metric.corruptions, metric.severities) == (("contrast",), (1,))


@pytest.mark.parametrize(
    "twice", [Cell("contrast", 1, outcome_of([1, 0])), Cell("clean", 0, outcome_of([1, 1]))]
)
def test_a_table_holds_each_cell_once(twice):
    clean, cell = outcome_of([1, 1]), Cell("contrast", 1, outcome_of([0, 0]))
    with pytest.raises(wh.InputError, match=f"{twice.corruption} {twice.severity} is there"):
        RobustnessTable(clean, (cell, twice), 256, 0)
    table = RobustnessTable(clean, (cell,), 256, 0)
    with pytest.raises(wh.InputError, match="give it once"):
        replace(table, cells=(*table.cells, twice))
    with pytest.raises(wh.InputError, match="give it once"):
        RunResult.of(None, [Cell("clean", 0, clean, "split"), cell, twice])


def test_labels_beyond_the_outputs_are_told(tiny_images):
    with pytest.raises(wh.InputError, match="tells 1 classes apart, and an image has the label 1"):
        wh.evaluate(Constant([1.0]), tiny_images.test, "contrast", [1])
    with pytest.raises(wh.InputError, match="map 32 images to logits"):
        accuracy(nn.Flatten(0), tiny_images.test)


@pytest.mark.parametrize("logits", [[torch.nan, 1.0], [torch.inf, 1.0], [torch.nan, torch.nan]])
def test_logits_that_are_no_numbers_are_no_answers(tiny_images, logits):
    with pytest.raises(wh.InputError, match="NaN, for 32 images"):
        wh.evaluate(Constant(logits), tiny_images.test, "contrast", [1])


@pytest.mark.parametrize(
    "measure",
    [
        lambda model, images: wh.evaluate(model, images, "contrast", [1]),
        accuracy,
        lambda model, images: fourier_heatmap(model, images, limit=2),
        lambda _, images: fit_gate(wh.Deck([wh.load("zoo:cifar10-lrr95-clean")], "average"), images),
    ],
)
def test_a_whole_image_set_is_no_split(tiny_images, measure):
    with pytest.raises(wh.InputError, match=r"images\.test"):
        measure(Constant([1.0, 0.0]), tiny_images)
    with pytest.raises(wh.InputError, match=r"a split, such as|wh\.load_images"):
        measure(Constant([1.0, 0.0]), "cifar10")


@pytest.mark.parametrize(
    ("model", "said"), [("a.card", "no such file"), (None, "not a NoneType"), (nn.Linear, "not a type")]
)
def test_what_is_no_model_is_told(tiny_images, model, said):
    for measured in (wh.evaluate, accuracy):
        with pytest.raises(wh.InputError, match=said):
            measured(model, tiny_images.test)


def test_a_module_of_another_precision_or_output_is_measured(tiny_images):
    module = nn.Sequential(nn.Flatten(), nn.Linear(768, 2))
    expected = accuracy(module, tiny_images.test)
    assert accuracy(module.double(), tiny_images.test) == expected

    class Wrapped(nn.Module):
        def forward(self, images):
            return {"logits": module.float()(images)}

    assert accuracy(nn.Sequential(Wrapped()), tiny_images.test) == expected


def test_only_the_whole_is_a_hundred_percent():
    assert percent(1.0) == "100.00%"
    assert percent(0.0) == "0.00%"
    assert percent(1 - 19 / 11_164_352) == "99.9998%"
    assert percent(1 / 11_164_352) == "0.00001%"
    assert percent(0.9998, 1) == "99.98%"
    assert percent(0.95) == "95.00%"


def test_an_archive_is_named_and_not_placed(tmp_path, tiny_images):
    from winninghand.corruptions import write_archive

    write_archive(tiny_images.test.images, tiny_images.test.labels, tmp_path / "tiny-C", "contrast", [1])
    measurement = Measurement("contrast", (1,), archive=tmp_path / "tiny-C")
    assert measurement.to_json()["archive"] == "tiny-C"
    assert str(tmp_path) not in json.dumps(measurement.to_json())


def test_a_module_with_more_outputs_than_there_are_classes_is_warned_of():
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 11))
    split = Split(np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, 2, 9]))
    with pytest.warns(UserWarning, match="gives 11 outputs and the labels name 10 classes"):
        accuracy(network, split)
    with pytest.warns(UserWarning, match="gives 11 outputs"):
        wh.evaluate(network, split, "contrast", [1], limit=2)
