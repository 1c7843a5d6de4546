"""State dicts, modes and words for people: cards and decks as modules among others."""

import warnings

import pytest
import torch
from made_cards import CLASSES, SIZE, make_card, noisy, smooth

import winninghand as wh
from winninghand import cards, decks
from winninghand.decks.gate import FittedScores
from winninghand.spectra import SpectralProfile
from winninghand.spectra.profile import RINGS

IMAGES = torch.cat([smooth(3), noisy(3)])
SCORES = FittedScores(
    slopes=((0.1, -0.2) + (0.3,) * (RINGS - 2), (0.0,) * RINGS),
    offsets=(0.5, -0.25),
)


def bare(seed):
    """A card without profile, scales or normalisation, of the same architecture."""
    torch.manual_seed(seed)
    return wh.Card.from_module(wh.network("resnet18", width=2, classes=3), CLASSES, SIZE)


def test_a_state_dict_holds_all_that_a_card_computes_with(tmp_path):
    module = wh.network("resnet18", width=2, classes=3)
    profile = SpectralProfile.of(noisy(32), clean=smooth(32))
    card = wh.Card.from_module(module, CLASSES, SIZE, (0.491, 0.482, 0.447), (0.247, 0.243, 0.262), profile)
    card = card.quantized("int8")
    other = bare(1)
    other.load_state_dict(card.state_dict())
    assert torch.equal(other(IMAGES), card(IMAGES))
    assert torch.equal(other.profile.clean.spread, card.profile.clean.spread)
    assert other.scales.keys() == card.scales.keys()
    assert other.metadata.mean == (0.491, 0.482, 0.447)
    other.save(tmp_path / "a.card")
    assert torch.equal(wh.load(tmp_path / "a.card")(IMAGES), card(IMAGES))


def test_a_state_dict_of_version_0_1_is_the_network_alone():
    card, other = make_card("smooth", 0), make_card("noisy", 1)
    state = {name: tensor for name, tensor in other.state_dict().items() if name.startswith("network.")}
    before = card.profile.mean.clone()
    card.load_state_dict(state)
    assert torch.equal(card(IMAGES), other(IMAGES))
    assert torch.equal(card.profile.mean, before)
    with pytest.raises(RuntimeError, match=r"fc\.weight"):
        card.load_state_dict({name: tensor for name, tensor in state.items() if "fc" not in name})


def test_a_loaded_state_changes_no_other_card():
    profile = SpectralProfile.of(noisy(32))
    one, two = (wh.Card(make_card("smooth").network, bare(0).metadata, profile) for _ in range(2))
    one.load_state_dict(make_card("smooth", 5, clean=False).state_dict())
    assert torch.equal(two.profile.mean, profile.mean)
    assert not torch.equal(one.profile.mean, profile.mean)


def test_a_state_dict_holds_a_decks_temperatures_and_fitted_gate(tmp_path):
    pair = [make_card("smooth"), make_card("noisy")]
    deck = wh.Deck(pair, "weighted", temperatures=[2.0, 0.5], scores=SCORES)
    other = wh.Deck([make_card("noisy", 5), make_card("smooth", 6)], "weighted")
    assert not torch.allclose(other.choose(IMAGES), deck.choose(IMAGES), atol=1e-3)
    other.load_state_dict(deck.state_dict())
    assert torch.equal(other(IMAGES), deck(IMAGES))
    other.save(tmp_path / "a.deck")
    assert torch.equal(wh.load(tmp_path / "a.deck")(IMAGES), deck(IMAGES))
    old = {name: tensor for name, tensor in deck.state_dict().items() if ".network." in name}
    other.load_state_dict(old)
    assert other.temperatures.tolist() == [2.0, 0.5]


def test_training_mode_leaves_norms_alone():
    deck = wh.Deck([make_card("smooth"), make_card("noisy")], "average")
    before = {name: tensor.clone() for name, tensor in deck.state_dict().items()}
    deck.train()
    assert deck.training
    assert deck.cards[0].network.training
    assert torch.equal(deck(IMAGES), deck.eval()(IMAGES))
    assert all(torch.equal(tensor, before[name]) for name, tensor in deck.state_dict().items())
    card = deck.cards[0]
    card.network.train()
    card(IMAGES)
    assert card.network.bn1.num_batches_tracked == 1


def test_the_settings_of_a_gate_are_given_by_name():
    pair = [make_card("smooth"), make_card("noisy")]
    deck = wh.Deck(pair, "weighted", max_active=1, temperature=2.0)
    assert deck.settings == wh.Deck(pair).with_gate("weighted", max_active=1, temperature=2.0).settings
    assert torch.equal((deck.choose(IMAGES) > 0).sum(dim=1), torch.ones(6, dtype=torch.int64))
    with pytest.raises(wh.InputError, match="forgetting"):
        wh.Deck(pair, "weighted", forgetting=0.5)
    with pytest.raises(wh.InputError, match="not both"):
        wh.Deck(pair, "weighted", deck.settings, max_active=2)


def test_a_representation_is_one_line():
    card = make_card("smooth")
    assert repr(card) == "Card(resnet18, 3 classes, 16×16, sparsity 0.0%)"
    assert repr(card.quantized("int4").with_metadata(domain={"name": "augmix"})).endswith(
        "%, domain augmix, int4)"
    )
    assert repr(wh.Deck([card, card])) == "Deck(2 × resnet18, gate spectral, 3 classes, 16×16)"


def test_metadata_that_cannot_be_is_refused():
    for wrong, named in (({"accuracy": 1.0}, "accuracy"), ({"input_size": (0, 8)}, "input_size")):
        with pytest.raises(wh.InputError, match=named):
            make_card("smooth").with_metadata(**wrong)


def test_names_of_version_0_1_warn_and_work(tmp_path):
    card = make_card("smooth")
    card.save(tmp_path / "a.card")
    network, std = card.network, (0.5, 0.5, 0.5)
    old = {
        "card.metadata": lambda: card.facts is card.metadata,
        "CardMetadata": lambda: cards.CardFacts is cards.CardMetadata,
        "std": lambda: wh.Card.from_module(network, CLASSES, SIZE, deviation=std).metadata.std == std,
        "with_metadata": lambda: card.with_accuracies({"test": 0.5}).metadata.accuracies == {"test": 0.5},
        "with_bn_adaptation": lambda: decks.adapted is decks.with_bn_adaptation,
        "'metadata'": lambda: decks.inspect_file(tmp_path / "a.card")["facts"]["classes"] == list(CLASSES),
    }
    for new, works in old.items():
        with pytest.warns(DeprecationWarning, match=new):
            assert works()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        card.save(tmp_path / "b.card")
        wh.load(tmp_path / "b.card")
