"""The order of corrupted images: what comes together, and what stays the same."""

import numpy as np
import pytest
import torch

import winninghand as wh
from winninghand.corruptions import write_archive
from winninghand.decks.deck import Deck
from winninghand.evaluation import ORDERS, Measurement
from winninghand.evaluation.orders import arranged

LABELS = np.array([1, 0, 2, 0, 1, 2, 0])
SETTINGS = {"corruptions": "fog,gaussian_noise", "severities": (4, 1, 5)}


@pytest.mark.parametrize("order", ORDERS)
def test_every_image_of_every_cell_comes_once(order):
    stream = arranged(order, LABELS, 3, (5, 1, 3), seed=0)
    assert sorted(zip(stream.cells, stream.places, strict=True)) == [
        (c, p) for c in range(9) for p in range(7)
    ]
    for number in range(9):
        here = stream.of_cell(number)
        assert (stream.cells[here] == number).all()
        assert stream.places[here].tolist() == list(range(7))


def test_severities_rise_and_fall():
    stream = arranged("gradual", LABELS, 2, (5, 1, 4, 2, 3), seed=0)
    severities = np.array((5, 1, 4, 2, 3))[stream.cells % 5]
    half = len(severities) // 2
    steps = severities[np.flatnonzero(np.diff(severities, prepend=0))]
    assert steps.tolist() == [1, 2, 3, 4, 5, 4, 3, 2, 1, 2, 3, 4, 5, 4, 3, 2, 1]
    assert set(stream.cells[:half]) == set(range(5))
    assert stream.places[:4].tolist() == [0, 2, 4, 6]
    assert stream.places[half - 3 : half].tolist() == [1, 3, 5]


def test_one_severity_has_no_way_up_or_down():
    stream = arranged("gradual", LABELS, 2, (3,), seed=0)
    assert stream.places.tolist() == [*range(7), *range(7)]


def test_correlated_images_come_class_by_class_in_each_cell():
    stream = arranged("correlated", LABELS, 2, (1, 2), seed=0)
    assert stream.cells.tolist() == np.repeat(range(4), 7).tolist()
    assert LABELS[stream.places[:14]].tolist() == 2 * sorted(LABELS)


def test_mixing_depends_on_the_seed_alone():
    one, same, other = (arranged("mixed", LABELS, 2, (1, 2), seed) for seed in (0, 0, 1))
    assert np.array_equal(one.cells, same.cells)
    assert np.array_equal(one.places, same.places)
    assert not np.array_equal(one.cells, other.cells)
    assert len(set(one.cells[:9])) > 1


@pytest.mark.parametrize("at_once", [1, 2**26])
@pytest.mark.parametrize("order", ORDERS)
def test_who_looks_at_single_images_fares_the_same_in_any_order(
    threshold, tiny_images, tmp_path, monkeypatch, order, at_once
):
    monkeypatch.setattr("winninghand.evaluation.measurement._AT_ONCE", at_once)
    split = tiny_images.test
    write_archive(split.images, split.labels, tmp_path, "fog", [4, 5], 3)
    settings = {**SETTINGS, "limit": 9, "seed": 3, "batch_size": 4}
    by_cell = wh.evaluate(threshold, split, **settings)
    done = []
    table = wh.evaluate(threshold, split, **settings, order=order, archive=tmp_path, progress=done.append)
    assert [(cell.corruption, cell.severity) for cell in table.cells] == [
        (cell.corruption, cell.severity) for cell in by_cell.cells
    ]
    assert {cell.source for cell in table.cells} == {"generated", "archive"}
    for one, other in zip(by_cell.cells, table.cells, strict=True):
        assert np.array_equal(one.correct, other.correct)
        assert np.allclose(one.outcome.confidence, other.outcome.confidence, atol=1e-6)
    assert sum(done) == 9 * 7
    assert table.to_json()["order"] == order


def test_a_stream_knows_no_cells_and_is_forgotten_once(tiny_images, monkeypatch):
    resets, sizes = [], []
    network = wh.network("conv2", width=2, classes=2, input_size=16)
    deck = Deck([wh.Card.from_module(network, tiny_images.classes, (16, 16))], "average")
    monkeypatch.setattr(deck, "reset", lambda: resets.append(len(sizes)))
    answer = deck.answer
    monkeypatch.setattr(deck, "answer", lambda images: sizes.append(len(images)) or answer(images))
    wh.evaluate(deck, tiny_images.test, **SETTINGS, limit=5, batch_size=8, order="mixed")
    assert sizes == [5, 8, 8, 8, 6]
    assert resets == [0, 1]


def test_the_order_of_cells_is_what_it_always_was(threshold, tiny_images):
    split = tiny_images.test
    table = wh.evaluate(threshold, split, **SETTINGS, batch_size=12, order="cells")
    for cell in table.cells:
        pixels = wh.corrupt(split.images, cell.corruption, cell.severity)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            confidence = torch.cat([threshold(part).softmax(1).amax(1) for part in images.split(12)])
        assert np.array_equal(cell.outcome.confidence, confidence.numpy())
    assert "order" not in Measurement().to_json()
    assert Measurement.from_table(Measurement(order="mixed").to_json()).order == "mixed"


@pytest.mark.parametrize(("order", "said"), [("mixd", "did you mean 'mixed'"), (None, "known: cells, mixed")])
def test_unknown_orders_are_refused(threshold, tiny_images, order, said):
    with pytest.raises(wh.InputError, match=said):
        wh.evaluate(threshold, tiny_images.test, order=order)
