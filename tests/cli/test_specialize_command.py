"""`winninghand specialize`: one card in, one deck of one body out."""

import numpy as np
import pytest
import torch

import winninghand as wh
from winninghand.decks.bodies import bodies_of


@pytest.fixture
def place(tmp_path):
    digits = wh.load_images("digits")
    arrays = {"train_images": digits.train.images[:60], "train_labels": digits.train.labels[:60]}
    arrays |= {"test_images": digits.test.images[:60], "test_labels": digits.test.labels[:60]}
    np.savez(tmp_path / "few.npz", **arrays)
    images = wh.load_images(tmp_path / "few.npz")
    torch.manual_seed(0)
    for name, settings in (("resnet18", {"width": 2, "stem_stride": 2}), ("conv2", {"width": 2})):
        network = wh.network(name, classes=10, **settings)
        wh.Card.from_module(network, images.classes, (32, 32)).save(tmp_path / f"{name}.card")
    return tmp_path


def test_a_deck_is_made_and_inspected(run, place):
    words = ("specialize", place / "resnet18.card", place / "a.deck", "--data", place / "few.npz")
    code, out, err = run(*words, "--domains", "clean, gaussian", "--epochs", 1, "--set", "temperature=2")
    assert (code, out) == (0, "") and "one body, norms for clean, gaussian" in err
    settings = wh.load(place / "a.deck").settings
    assert (settings.max_active, settings.temperature) == (1, 2)
    assert bodies_of(wh.load(place / "a.deck").cards) == ((0, 1),)
    code, _, err = run("inspect", place / "a.deck")
    assert (
        code == 0 and "cards 1, 2 share one body" in err and "norms and profile of card 2 (gaussian)" in err
    )


def test_what_cannot_be_specialized_is_refused(place, check_refusal):
    data = ("--data", place / "few.npz")
    card, deck = place / "resnet18.card", place / "a.deck"
    for words, named in (
        ((place / "conv2.card", deck, *data), "has no norms"),
        ((card, deck, *data, "--domains", "clean,augmx"), "did you mean 'augmix'"),
        ((card, place / "b.card", *data), "named as a card"),
        ((card, card, *data), "resnet18.card"),
        ((card, deck, *data, "--domains", " , "), "give at least one"),
        ((card, deck, *data, "--gate", "average", "--set", "max_active=1"), "plays all 3 cards"),
        ((card, deck, *data, "--set", "max_activ=1"), "did you mean 'max_active'"),
    ):
        check_refusal(place, ("specialize", *words), named)
