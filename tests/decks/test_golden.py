"""Files that are out in the world still open and give the logits that were recorded for them."""

import json
from pathlib import Path

import pytest
import torch

import winninghand as wh

DATA = Path(__file__).parents[1] / "data"
LOGITS = json.loads((DATA / "logits.json").read_text())


def pattern(side):
    """Two images of a sine that runs through all pixels and channels."""
    place = torch.arange(2 * 3 * side * side, dtype=torch.float64).view(2, 3, side, side)
    return ((0.37 * place).sin() * 0.5 + 0.5).float()


@pytest.mark.parametrize("name", LOGITS)
def test_logits_are_those_that_were_recorded(name):
    model = wh.load(name if name.startswith("zoo:") else DATA / name)
    with torch.no_grad():
        torch.testing.assert_close(
            model(pattern(model.input_size[0])), torch.tensor(LOGITS[name]), rtol=0, atol=1e-3
        )


def test_every_model_of_the_zoo_is_recorded():
    assert {f"zoo:{name}" for name in wh.names("zoo")} <= set(LOGITS)


def test_a_card_of_version_0_1_keeps_its_figures_under_their_new_names():
    assert b"deviation" in (DATA / "version_0_1.card").read_bytes()
    metadata = wh.load(DATA / "version_0_1.card").metadata
    assert metadata.mean == (0.491, 0.482, 0.447)
    assert metadata.std == (1.0, 1.0, 1.0)
    assert metadata.accuracies == {"validation": 0.75, "test": 0.5}


def test_a_deck_of_version_0_1_keeps_its_gate():
    deck = wh.load(DATA / "version_0_1.deck")
    assert (deck.gate, deck.settings.max_active, len(deck.cards)) == ("weighted", 2, 2)
    assert deck.settings.scores.offsets == (0.25, -0.5)
    assert deck.temperatures.tolist() == [1.5, 0.75]
