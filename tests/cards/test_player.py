import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.cards import player_of
from winninghand.spectra import SpectralProfile

IMAGES = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def some_card():
    module = wh.network("conv2", width=2, classes=3, input_size=16)
    profile = SpectralProfile.of(torch.rand(8, 3, 16, 16))
    return wh.Card.from_module(module, ["a", "b", "c"], (16, 16), profile=profile)


def test_a_card_is_its_own_only_card():
    card = some_card()
    assert player_of(card) is card
    assert (card.kind, card.gate, card.cards) == ("card", None, (card,))
    assert (card.classes, card.input_size) == (("a", "b", "c"), (16, 16))
    answer = card.answer(IMAGES)
    assert torch.equal(answer.outputs, card(IMAGES))
    assert torch.equal(answer.weights, torch.ones(5, 1))


def test_a_deck_answers_with_the_weights_of_its_gate():
    deck = wh.Deck([some_card(), some_card()], "weighted").with_gate("weighted", max_active=1)
    assert player_of(deck) is deck
    assert (deck.kind, deck.gate, deck.input_size, len(deck.cards)) == ("deck", "weighted", (16, 16), 2)
    answer = deck.answer(IMAGES)
    assert torch.equal(answer.outputs, deck(IMAGES))
    assert torch.equal(answer.weights, deck.choose(IMAGES))
    assert ((answer.weights > 0).sum(dim=1) == 1).all()


def test_any_other_classifier_is_played_without_cards(tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(768), nn.Linear(768, 4)).train()
    player = player_of(module)
    assert (player.kind, player.gate, player.cards) == ("module", None, ())
    assert torch.equal(player.answer(IMAGES).outputs, module.eval()(IMAGES))
    assert torch.equal(player.answer(IMAGES).weights, torch.ones(5, 1))
    assert player_of(wh.network("conv2", classes=3)).classes == ("0", "1", "2")
    with pytest.raises(wh.InputError, match="from_module"):
        player.save(tmp_path / "a.card")
