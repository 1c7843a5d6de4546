"""A path, or a name of the zoo, may stand wherever a card or a deck is taken."""

from pathlib import Path

import numpy as np
import pytest
import torch
from made_cards import CLASSES, smooth

import winninghand as wh
from winninghand.cards.opening import opened
from winninghand.decks import fit_gate, share_body, with_bn_adaptation
from winninghand.evaluation import accuracy, fourier_heatmap
from winninghand.exports import export
from winninghand.zoo import ZOO


@pytest.fixture
def place(cards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, card in enumerate(cards[:2]):
        card.save(f"{number}.card")
    wh.Deck(cards[:2], "weighted").save("a.deck")
    return tmp_path


@pytest.fixture(scope="module")
def images():
    pixels = (smooth(60) * 255).byte().permute(0, 2, 3, 1).numpy()
    split = (pixels, np.arange(60) % 3)
    return wh.ImageSet.from_arrays(split, split, CLASSES)


def test_a_deck_of_paths_is_that_of_the_cards(cards, place):
    deck = wh.Deck(["0.card", cards[0], Path("1.card"), "0.card"], "average")
    assert deck.cards[1] is cards[0]
    assert deck.cards[3] is deck.cards[0]
    same = wh.Deck([cards[0], cards[0], cards[1], cards[0]], "average")
    assert torch.equal(deck(smooth(2)), same(smooth(2)))
    name = min(name for name, path in ZOO.usable().items() if path.suffix == ".card")
    assert wh.Deck([f"zoo:{name}"], "average").cards[0].network_name


def test_what_measures_and_changes_models_takes_paths(cards, place, images):
    asked = {"corruptions": ["contrast"], "severities": [1]}
    found, known = (wh.evaluate(model, images.test, **asked) for model in ("0.card", cards[0]))
    assert (found.cells[0].correct == known.cells[0].correct).all()
    assert wh.evaluate(Path("a.deck"), images.test, **asked).clean_accuracy == accuracy("a.deck", images.test)
    pair = [fourier_heatmap(one, images.test, limit=3).errors for one in ("0.card", cards[0])]
    assert (pair[0] == pair[1]).all()
    fitted = fit_gate("a.deck", images.train, limit=20)
    assert fitted.settings.scores == fit_gate(wh.load("a.deck"), images.train, limit=20).settings.scores
    assert len(share_body(["0.card", "0.card"])) == 2
    assert with_bn_adaptation("a.deck", 8).kind == "deck"
    export("0.card", "0.safetensors")
    assert Path("0.safetensors").stat().st_size > 0
    deck = wh.specialize("0.card", images, ["clean"], epochs=1, gate="average")
    assert deck.cards[0].metadata.domain["name"] == "clean"


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (lambda images: wh.Deck(["a.deck"]), "a.deck holds a deck, not a card"),
        (lambda images: wh.Deck(["missing.card"]), "cannot load missing.card: there is no such file"),
        (lambda images: wh.Deck(["zoo:nothing"]), "zoo model 'nothing'"),
        (lambda images: wh.specialize("a.deck", images), "a.deck holds a deck, not a card"),
        (lambda images: fit_gate("0.card", images.train), "a .deck file is wanted, not '0.card'"),
        (lambda images: fit_gate(3, images.train), "a .deck file is wanted, not 3"),
        (lambda images: with_bn_adaptation("missing.deck"), "cannot load missing.deck"),
    ],
)
def test_what_is_no_such_file_is_told_in_one_line(place, images, take, said):
    with pytest.raises(wh.InputError, match=said) as told:
        take(images)
    assert "\n" not in str(told.value)


def test_what_is_no_list_of_cards_is_left_to_whom_it_is_given(cards):
    assert opened(cards) is cards
    assert opened("ab") == "ab"
