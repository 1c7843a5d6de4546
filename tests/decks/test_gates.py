import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_cards import noisy, smooth

import winninghand as wh
from winninghand.decks.fitting import FittedScores
from winninghand.decks.gate import GATES, gate_settings
from winninghand.images import Preparation
from winninghand.recipe import Quantization, Training, make_recipe
from winninghand.spectra import log_spectra
from winninghand.spectra.profile import RINGS, ring_averages

ADAPTIVE = [name for name in wh.names("gates") if name != "average"]


@pytest.mark.parametrize("gate", wh.names("gates"))
def test_weights_are_shares(cards, gate):
    weights = wh.Deck(cards, gate).choose(torch.cat([smooth(5), noisy(5)]))
    assert weights.shape == (10, 4)
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(dim=1), torch.ones(10))


@pytest.mark.parametrize("gate", ADAPTIVE)
def test_the_cards_of_the_domain_at_hand_are_preferred(cards, gate):
    if gate == "features":
        pytest.skip("it knows nothing of domains before it is fitted")
    deck = wh.Deck(cards, gate)
    for images, theirs in ((smooth(8), [0, 2]), (noisy(8), [1, 3])):
        deck.reset()
        assert (deck.choose(images)[:, theirs].sum(dim=1) > 0.9).all()


@pytest.mark.parametrize("gate", ADAPTIVE)
@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_cards_are_played_than_allowed(cards, gate, most):
    weights = wh.Deck(cards, gate).with_gate(gate, max_active=most).choose(torch.cat([smooth(3), noisy(3)]))
    assert ((weights > 0).sum(dim=1) <= most).all()
    assert torch.allclose(weights.sum(dim=1), torch.ones(6))


@pytest.mark.parametrize("gate", wh.names("gates"))
def test_autocast_does_not_touch_the_choice(cards, gate):
    deck, images = wh.Deck(cards, gate), torch.cat([smooth(4), noisy(4)])
    weights = deck.choose(images)
    deck.reset()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(deck.choose(images), weights, atol=1e-4)
        assert deck(images).dtype == torch.float32


def test_spectral_chooses_once_for_the_batch_and_spectral_image_for_each_image(cards):
    mixed = torch.cat([smooth(2), noisy(6)])
    assert len(wh.Deck(cards, "spectral").choose(mixed).unique(dim=0)) == 1
    assert len(wh.Deck(cards, "spectral_image").choose(mixed).unique(dim=0)) == 2


@pytest.mark.parametrize("gate", ["spectral_image", "weighted", "average"])
def test_an_image_is_weighted_the_same_in_any_batch(cards, gate):
    deck, images = wh.Deck(cards, gate), torch.cat([smooth(4), noisy(4)])
    alone = torch.cat([deck.choose(images[place : place + 1]) for place in range(8)])
    assert torch.allclose(deck.choose(images), alone, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 11), max_size=4, unique=True), forgetting=st.floats(0.05, 1))
def test_a_stream_may_be_cut_anywhere(cards, cuts, forgetting):
    deck = wh.Deck(cards, "stream").with_gate("stream", forgetting=forgetting)
    images = torch.cat([smooth(6), noisy(6)])
    whole = deck.choose(images)
    deck.reset()
    parts = [
        deck.choose(images[start:end])
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 12], strict=True)
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_a_stream_is_the_exponential_mean_of_the_spectra(cards):
    deck = wh.Deck(cards, "stream").with_gate("stream", forgetting=0.3)
    images = torch.cat([smooth(3), noisy(9)])
    spectra = log_spectra(images)
    nearest = wh.Deck(cards, "spectral_image")
    expected = []
    for place in range(12):
        shares = 0.7 ** torch.arange(place, -1, -1.0)
        mean = (shares[:, None, None] * spectra[: place + 1]).sum(0) / shares.sum()
        expected.append(nearest.weigh(mean[None]))
    assert torch.equal(deck.choose(images), torch.cat(expected))


@pytest.mark.parametrize("forgetting", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_follows_a_change_within_two_over_forgetting_images(cards, forgetting, size):
    deck, within = wh.Deck(cards, "stream", forgetting=forgetting), round(2 / forgetting)
    # A long time in one domain, then in the other, and back.
    parts = [smooth(100), noisy(100, 1), smooth(100, 2)]
    weights = torch.cat([deck.choose(batch) for batch in torch.cat(parts).split(size)])
    for number, theirs in ((1, [1, 3]), (2, [0, 2])):
        chosen = weights[100 * number : 100 * (number + 1), theirs].sum(dim=1)
        assert (chosen[within:] == 1).all()
        assert chosen[0] < 1 or forgetting == 0.5


def test_a_stream_that_begins_anew_forgets(cards):
    deck = wh.Deck(cards, "stream")
    first = deck.choose(smooth(3))
    deck.choose(noisy(30))
    assert not torch.equal(deck.choose(smooth(3)), first)
    deck.reset()
    assert torch.equal(deck.choose(smooth(3)), first)


def test_fitted_scores_are_linear_in_the_shift_from_clean(cards):
    slopes = torch.randn(4, RINGS, generator=torch.Generator().manual_seed(0))
    offsets = torch.tensor([0.1, -0.2, 0.3, 0.0])
    scores = FittedScores(slopes=tuple(map(tuple, slopes.tolist())), offsets=tuple(offsets.tolist()))
    images = noisy(5)
    clean = [card.profile.clean for card in cards]
    mean = torch.stack([one.mean for one in clean]).mean(0)
    spread = torch.stack([one.spread for one in clean]).mean(0).clamp_min(0.05)
    shift = ((log_spectra(images) - mean) / spread).flatten(1) @ ring_averages(*mean.shape)
    expected = (shift @ slopes.T + offsets).softmax(dim=1)
    deck = wh.Deck(cards, "weighted").with_gate("weighted", scores=scores)
    assert torch.allclose(deck.choose(images), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("gate", "settings", "named"),
    [
        ("weighted", {"temperature": 0}, "temperature"),
        ("stream", {"forgetting": 1.5}, "forgetting"),
        ("spectral", {"max_active": 0}, "max_active"),
        ("spectral", {"forgetting": 0.5}, "forgetting"),
        ("average", {"max_active": 2}, "plays all 4 cards"),
        ("spectrum", {}, "did you mean"),
        ("weighted", {"scores": {"slopes": [[0.0] * RINGS], "offsets": [0.0]}}, "fitted for 1 other card;"),
    ],
)
def test_settings_that_do_not_fit_are_refused(cards, gate, settings, named):
    with pytest.raises(wh.InputError, match=named):
        wh.Deck(cards).with_gate(gate, **settings)


def test_a_truth_is_no_number_in_any_setting_of_a_gate_or_a_recipe():
    for gate, kind in GATES.usable().items():
        for key, setting in kind.settings_type.model_fields.items():
            if setting.annotation is not bool:
                with pytest.raises(wh.InputError, match=key):
                    gate_settings(gate, {key: True})
    tables = {"training": Training, "quantization": Quantization, "images": Preparation}
    for table, keys in tables.items():
        for key, setting in keys.model_fields.items():
            if setting.annotation is not bool:
                with pytest.raises(wh.InputError, match=key):
                    make_recipe({table: {key: True}})
