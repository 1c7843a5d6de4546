"""Who plays when: seen by the gate alone, and in an evaluation."""

import numpy as np
import pytest
import torch
from made_cards import CLASSES, noisy, smooth

import winninghand as wh
from winninghand.base.device import to_bytes
from winninghand.decks.choices import choices_of
from winninghand.images import Split

IMAGES = to_bytes(torch.cat([smooth(6), noisy(6)])).numpy()
SPLIT = Split(np.ascontiguousarray(IMAGES), np.arange(12) % len(CLASSES))
ASKED = {"corruptions": "contrast,gaussian_noise", "severities": (1, 5), "seed": 3, "batch_size": 5}


def test_weights_are_those_of_the_gate_and_of_an_evaluation(cards):
    deck = wh.Deck(cards, "spectral_image")
    choices = choices_of(deck, SPLIT, limit=None, **ASKED)
    assert choices.conditions == (
        ("clean", 0),
        *((name, level) for name in ("contrast", "gaussian_noise") for level in (1, 5)),
    )
    assert np.allclose(choices.weights.sum(axis=1), 1)
    grainy = wh.corrupt(SPLIT.images, "gaussian_noise", 5, seed=3)
    chosen = deck.choose(torch.from_numpy(grainy).permute(0, 3, 1, 2).float() / 255)
    assert np.allclose(choices.weights[-1], chosen.mean(dim=0), atol=1e-6)
    table = wh.evaluate(deck, SPLIT, **ASKED)
    measured = [table.clean, *(cell.outcome for cell in table.cells)]
    assert np.allclose([one.weights.mean(axis=0) for one in measured], choices.weights, atol=1e-6)
    assert choices.by_corruption()["contrast"] == pytest.approx(choices.weights[1:3].mean(axis=0).tolist())
    assert wh.evaluate(cards[0], SPLIT, **ASKED).clean.weights is None


def test_a_chart_names_cards_data_and_images(cards):
    pytest.importorskip("altair")
    deck = wh.Deck(cards, "spectral_image")
    text = str(deck.plot_choices(SPLIT, "contrast", (5,), limit=9, data="made-up").to_dict())
    assert "made-up, 9 images, seed 0" in text
    assert f"{len(cards)}. card" in text
    with pytest.raises(wh.InputError, match="unknown corruption"):
        deck.plot_choices(SPLIT, "mist")
    with pytest.raises(wh.InputError, match=r"pass one of them, such as images\.test"):
        deck.plot_choices(wh.ImageSet(SPLIT, SPLIT, CLASSES), "contrast")
