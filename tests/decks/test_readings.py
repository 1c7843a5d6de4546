"""`spectral` as the paper may be read, `features`, and what any gate does where it does not know."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from made_cards import make_card, noisy, smooth

import winninghand as wh
from winninghand.decks.building import corrupted_accuracy
from winninghand.decks.fitting import fitted
from winninghand.decks.fitting_data import CLEAN, FittingData, collect
from winninghand.decks.gate import FittedScores, best_shares
from winninghand.decks.gates.features import FirstStage
from winninghand.decks.gates.spectral import Reading, linear_moments
from winninghand.spectra import log_spectra
from winninghand.spectra.profile import RINGS

READINGS = list(product(["log", "linear"], ["l2", "l1", "cosine"]))
IMAGES = torch.cat([smooth(4), noisy(6)])


@pytest.mark.parametrize(("amplitude", "distance"), READINGS)
@pytest.mark.parametrize("most", [None, 1])
def test_every_reading_prefers_the_domain_at_hand(cards, amplitude, distance, most):
    deck = wh.Deck(cards, amplitude=amplitude, distance=distance, max_active=most)
    for images, theirs in ((smooth(16), [0, 2]), (noisy(16), [1, 3])):
        weights = deck.choose(images)
        assert torch.allclose(weights[:, theirs].sum(dim=1), torch.ones(16))
        assert ((weights > 0).sum(dim=1) == (most or 2)).all()


@pytest.mark.parametrize(("amplitude", "distance"), READINGS)
def test_scores_are_minus_a_fourth_of_the_distance_in_spreads(cards, amplitude, distance):
    profiles = [card.profile for card in cards]
    means, spreads = (torch.stack([getattr(one, name) for one in profiles]) for name in ("mean", "spread"))
    spreads, seen = spreads.clamp_min(0.05), log_spectra(IMAGES)
    if amplitude == "linear":
        (means, spreads), seen = linear_moments(means, spreads), seen.exp()
    spread = spreads.square().mean(dim=0).sqrt()
    images, theirs = (seen / spread).flatten(1)[:, None], (means / spread).flatten(1)
    if distance == "cosine":
        shapes = [one / one.norm(dim=-1, keepdim=True) for one in (images, theirs)]
        away = (shapes[0] - shapes[1]).square().sum(dim=2) * theirs.square().mean()
    else:
        away = (images - theirs).abs().pow({"l1": 1, "l2": 2}[distance]).mean(dim=2)
    found = Reading(profiles, amplitude, distance)(seen)
    assert torch.allclose(found, -away / 4, rtol=1e-3, atol=1e-3)


def test_the_reading_by_default_is_what_it_always_was(cards):
    profiles = [card.profile for card in cards]
    deck, seen = wh.Deck(cards), log_spectra(IMAGES)
    shared = deck._gate.scores(seen) - Reading(profiles, "log", "l2")(seen)
    assert torch.allclose(shared, shared[:, :1].expand(-1, 4), atol=1e-3)
    assert (deck.settings.amplitude, deck.settings.distance, deck.settings.batch) == ("log", "l2", None)


def test_linear_moments_are_those_of_log_normal_values():
    means, spreads = torch.tensor([0.3, -1.0]), torch.tensor([0.5, 0.2])
    values = torch.exp(means + spreads * torch.randn(200_000, 2))
    for found, expected in zip(linear_moments(means, spreads), (values.mean(0), values.std(0)), strict=True):
        assert torch.allclose(found, expected, rtol=0.02)


def test_so_many_images_decide_together(cards):
    images = torch.cat([smooth(4), noisy(4), smooth(3)])
    deck = wh.Deck(cards, batch=4)
    alone = torch.cat([wh.Deck(cards).choose(part) for part in images.split(4)])
    assert torch.equal(deck.choose(images), alone)
    assert len(alone.unique(dim=0)) == 2
    for size, gate in ((1, "spectral_image"), (11, "spectral"), (99, "spectral")):
        assert torch.equal(wh.Deck(cards, batch=size).choose(images), wh.Deck(cards, gate).choose(images))


GATES = {
    "spectral": {"batch": 1},
    "spectral_image": {},
    "stream": {},
    "weighted": {"max_active": 1, "temperature": 3.0},
    "features": {"max_active": 2},
}


@pytest.mark.parametrize("gate", GATES)
def test_who_does_not_know_plays_all(cards, gate):
    always = wh.Deck(cards, gate, **GATES[gate]).choose(IMAGES)
    assert torch.equal(wh.Deck(cards, gate, **GATES[gate], confidence=0.0).choose(IMAGES), always)
    never = wh.Deck(cards, gate, **GATES[gate], confidence=1.0).choose(IMAGES)
    assert torch.equal(never, torch.full((10, 4), 0.25))


def test_the_average_is_played_up_to_the_threshold():
    scores = torch.tensor([[0.0, 0.2, 1.0], [0.0, 0.0, 0.1]])
    shares = scores.softmax(dim=1)
    at, below = float(shares[0, 2]), float(shares[0, 2].nextafter(torch.tensor(0.0)))
    assert torch.equal(best_shares(scores, 1, at), torch.full((2, 3), 1 / 3))
    found = best_shares(scores, 1, below)
    assert found[0].tolist() == [0, 0, 1]
    assert torch.equal(found[1], torch.full((3,), 1 / 3))


def test_features_are_of_the_raw_output_of_the_first_convolution(cards):
    outputs = []
    hook = cards[0].network.conv1.register_forward_hook(lambda *args: outputs.append(args[2]))
    cards[0](IMAGES)
    hook.remove()
    maps = outputs[0].flatten(2)
    expected = torch.cat([maps.mean(2), (maps.std(2, correction=0) + 0.01).log()], dim=1)
    assert torch.allclose(FirstStage(cards[0])(IMAGES), expected, atol=1e-5)
    other = wh.Card(*cards[0].parts)
    torch.nn.init.normal_(other.network.bn1.weight)
    assert torch.equal(FirstStage(other)(IMAGES), FirstStage(cards[0])(IMAGES))


def specialists(cards):
    """Clean and noisy images, and answers to them: card 2 knows the clean ones, card 1 the noisy ones."""
    labels = torch.arange(120) % 3
    right, wrong = (3 * torch.eye(3)[(labels + shift) % 3] for shift in (0, 1))
    shown = [smooth(120), noisy(120)]
    logits = torch.stack([torch.stack([wrong, right]), torch.stack([right, wrong])])
    spectra = torch.stack([log_spectra(images) for images in shown])
    features = [torch.stack([FirstStage(card)(images) for images in shown]) for card in cards]
    return FittingData((CLEAN, ("speckle_noise", 3)), logits, spectra, labels, tuple(features))


def test_fitted_features_play_the_card_that_knows(tmp_path):
    pair = [make_card("smooth"), make_card("noisy")]
    deck = fitted(wh.Deck(pair, "features", max_active=1), specialists(pair))
    scores = deck.settings.scores
    assert (scores.inputs, len(scores.slopes[0])) == ("features", 2 * len(pair[0].network.conv1.weight))
    assert corrupted_accuracy(deck, specialists(pair)) == 1
    assert (deck.choose(smooth(30, 5)).argmax(dim=1) == 1).all()
    assert (deck.choose(noisy(30, 5)).argmax(dim=1) == 0).all()
    deck.save(tmp_path / "a.deck")
    loaded = wh.load(tmp_path / "a.deck")
    assert loaded.settings == deck.settings
    assert torch.equal(loaded.choose(IMAGES), deck.choose(IMAGES))
    other = wh.Deck(pair, "features", max_active=1)
    other.load_state_dict(deck.state_dict())
    assert torch.equal(other.choose(IMAGES), deck.choose(IMAGES))
    assert torch.equal(deck.half().choose(IMAGES), other.choose(IMAGES))


def test_what_was_fitted_to_one_thing_does_not_judge_another(cards):
    by_ring = FittedScores(slopes=((0.0,) * RINGS,) * 4, offsets=(0.0,) * 4)
    deck = wh.Deck(cards, "weighted", scores=by_ring)
    with pytest.raises(wh.InputError, match="goes by features, and what was fitted by rings; fit it again"):
        deck.with_gate("features")
    assert deck.with_gate("average").with_gate("features", scores=None).settings.scores is None


def test_only_data_with_features_fit_a_gate_that_looks_at_them(cards, tiny_images):
    data = specialists(cards[:2])
    with pytest.raises(wh.InputError, match="collect the data again"):
        fitted(wh.Deck(cards[:2], "features"), replace(data, features=()))


def test_a_convolution_that_cards_share_is_run_once(tiny_images, monkeypatch):
    made = []
    monkeypatch.setattr(
        "winninghand.decks.fitting_data.FirstStage", lambda card: made.append(card) or FirstStage(card)
    )
    network = wh.network("resnet18", width=2, classes=2)
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 2))
    cards = [wh.Card.from_module(one, tiny_images.classes, (16, 16)) for one in (network, network, linear)]
    data = collect(cards, tiny_images.train, torch.arange(5).numpy(), [CLEAN])
    assert len(made) == 1
    assert [one.shape for one in data.features] == [(1, 5, 4), (1, 5, 4), (1, 5, 0)]
    with pytest.raises(wh.InputError, match="the first card has no plain one"):
        wh.Deck(cards[::-1], "features")


@pytest.mark.parametrize(
    ("gate", "settings", "said"),
    [
        ("spectral", {"amplitude": "logarithm"}, "amplitude"),
        ("spectral", {"distance": "l3"}, "distance"),
        ("spectral", {"batch": 0}, "batch"),
        (
            "spectral",
            {"distance": "l1", "scores": {"slopes": [[0.0] * RINGS] * 4, "offsets": [0.0] * 4}},
            "None",
        ),
        ("spectral_image", {"distance": "l1"}, "unknown key 'distance'"),
        ("weighted", {"confidence": 1.5}, "confidence"),
        ("average", {"confidence": 0.5}, "unknown key 'confidence'"),
        ("features", {"scores": {"slopes": [[0.0] * RINGS] * 4, "offsets": [0.0] * 4}}, "by rings"),
        ("weighted", {"scores": {"slopes": [[0.0]] * 257, "offsets": [0.0]}}, "256"),
        ("weighted", {"scores": {"slopes": [[0.0] * 16385], "offsets": [0.0]}}, "16384"),
        (
            "features",
            {"scores": {"slopes": [[1e13]], "offsets": [0.0], "inputs": "features"}},
            "1e12|1000000",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(cards, gate, settings, said):
    with pytest.raises(wh.InputError, match=said):
        wh.Deck(cards, gate, **settings)
