"""Cards of edge-popup and biprop: seed and masks in the file, the same bits out of it."""

import json

import pytest
import torch
from safetensors import safe_open

import winninghand as wh
from winninghand.base.randomness import seed_of
from winninghand.cards.file import pack_card, unpack_card
from winninghand.compression.init import drawn_weight


def card_of(method, seed=0, sparsity=0.9):
    """Return a card as a recipe of few steps leaves it."""
    recipe = {
        "network": {"name": "conv2", "width": 8},
        "compression": {"method": method, "sparsity": sparsity},
        "seed": seed,
    }
    torch.manual_seed(0)
    network = wh.network("conv2", width=8, classes=10, input_size=32)
    card = wh.Card.from_module(network, list("0123456789"), (32, 32))
    with torch.no_grad():
        for name in card.metadata.prunable:
            weight = card.network.get_parameter(name)
            full = drawn_weight(name, weight.shape, "kaiming_normal", 1 - sparsity, seed_of(seed, "masks"))
            kept = torch.rand(weight.shape) < 0.1
            weight.copy_(torch.where(kept, full.sign() * 0.25 if method == "bp" else full, 0.0))
    return card.with_metadata(recipe=recipe)


@pytest.mark.parametrize("method", ["ep", "bp"])
def test_a_file_of_seed_and_masks_gives_the_same_bits(tmp_path, method):
    card = card_of(method)
    card.save(tmp_path / "a.card")
    card.with_metadata(recipe=None).save(tmp_path / "values.card")
    again = wh.load(tmp_path / "a.card")
    for name, tensor in card.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor), name
    again.save(tmp_path / "b.card")
    assert (tmp_path / "a.card").read_bytes() == (tmp_path / "b.card").read_bytes()
    sizes = [(tmp_path / name).stat().st_size for name in ("a.card", "values.card")]
    assert sizes[0] < sizes[1] * (0.6 if method == "ep" else 0.95)
    with safe_open(tmp_path / "a.card", "pt") as file:
        assert json.loads(file.metadata()["winninghand"])["schema"] == 4


def test_a_deck_holds_a_mask_for_each_card(tmp_path):
    deck = wh.Deck([card_of("ep"), card_of("bp", seed=1)], "average")
    deck.save(tmp_path / "a.deck")
    again = wh.load(tmp_path / "a.deck")
    for card, other in zip(deck.cards, again.cards, strict=True):
        for name, tensor in card.network.state_dict().items():
            assert torch.equal(other.network.state_dict()[name], tensor)


def test_weights_that_have_moved_are_written_as_they_are():
    card = card_of("ep")
    with torch.no_grad():
        card.network.get_parameter(card.metadata.prunable[0]).mul_(1.5)
    header, streams = pack_card(card.parts)
    assert card.metadata.prunable[0] not in header["drawn"]["weights"]
    again = unpack_card(header, streams, "it")
    first = card.metadata.prunable[0]
    assert torch.equal(again.network.get_parameter(first), card.network.get_parameter(first))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 5}, "come out differently"),
        ({"rule": "other"}, "not known here, 'other'; upgrade"),
        ({"weights": ["features.0.bias"]}, "as drawn that are none"),
        ({"density": 0}, "drawn weights is damaged: density"),
    ],
)
def test_what_a_stranger_says_of_drawn_weights_is_checked(change, named):
    header, streams = pack_card(card_of("ep").parts)
    header["drawn"] |= change
    with pytest.raises(wh.InputError, match=named):
        unpack_card(header, streams, "it")
