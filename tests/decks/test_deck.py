import pytest
import torch
from made_cards import make_card, noisy, smooth

import winninghand as wh
from winninghand.decks.fitting import FittedScores
from winninghand.spectra.profile import RINGS


def test_a_deck_gives_the_logarithm_of_the_weighted_mean_of_softmaxes(cards):
    deck = wh.Deck(cards, "weighted", temperatures=[1.0, 2.0, 0.5, 1.5])
    images = torch.cat([smooth(3), noisy(3)])
    weights = deck.choose(images)
    with torch.no_grad():
        softmaxes = [
            (card(images) / float(t)).softmax(1) for card, t in zip(cards, deck.temperatures, strict=True)
        ]
        expected = sum(weights[:, k, None] * softmaxes[k] for k in range(4)).log()
        assert torch.allclose(deck(images), expected, atol=1e-5)
        logits = torch.stack([card(images) for card in cards])
    assert torch.allclose(deck.mixed(logits, weights), expected, atol=1e-5)


def test_each_card_runs_once_and_only_on_its_images(cards):
    deck = wh.Deck(cards, "spectral_image")
    seen = []
    hooks = [card.register_forward_pre_hook(lambda _, args: seen.append(len(args[0]))) for card in cards]
    deck(torch.cat([smooth(2), noisy(5), smooth(1)]))
    for hook in hooks:
        hook.remove()
    assert sorted(seen) == [3, 3, 5, 5]


def test_a_deck_comes_back_from_its_file(cards, tmp_path):
    scores = FittedScores(slopes=((0.1,) * RINGS,) * 4, offsets=(0.0, 1.0, 2.0, 3.0))
    deck = wh.Deck(cards, "stream", temperatures=[1.1, 1.2, 1.3, 1.4])
    deck = deck.with_gate("stream", scores=scores, forgetting=0.25, max_active=1)
    deck.save(tmp_path / "a.deck")
    loaded = wh.load(tmp_path / "a.deck")
    assert loaded.settings == deck.settings
    assert torch.equal(loaded.temperatures, deck.temperatures)
    assert torch.equal(loaded(noisy(4)), deck(noisy(4)))
    loaded.save(tmp_path / "b.deck")
    assert (tmp_path / "a.deck").read_bytes() == (tmp_path / "b.deck").read_bytes()


def test_a_profile_comes_back_with_the_clean_one_beside_it(tmp_path):
    card = make_card("noisy")
    card.save(tmp_path / "a.card")
    profile = wh.load(tmp_path / "a.card").profile
    assert torch.equal(profile.mean, card.profile.mean)
    assert torch.equal(profile.clean.mean, card.profile.clean.mean)
    assert torch.equal(profile.clean.spread, card.profile.clean.spread)


def test_another_gate_keeps_what_was_fitted(cards):
    scores = FittedScores(slopes=((0.0,) * RINGS,) * 4, offsets=(0.0, 0.0, 5.0, 0.0))
    deck = wh.Deck(cards, temperatures=[2.0] * 4).with_gate("weighted", scores=scores)
    other = deck.with_gate("average").with_gate("weighted", max_active=1)
    assert other.settings.scores == scores
    assert other.temperatures.tolist() == [2.0] * 4
    assert (other.choose(noisy(2))[:, 2] == 1).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("gate", ["average", "spectral"])
def test_pixels_that_are_no_numbers_are_refused(cards, gate, value):
    images = smooth(3)
    images[1, 2, 3, 4] = value
    with pytest.raises(wh.InputError, match="NaN or infinite"):
        wh.Deck(cards, gate)(images)


def test_an_empty_batch_is_refused(cards):
    with pytest.raises(wh.InputError, match="give at least one image"):
        wh.Deck(cards)(torch.empty(0, 3, 16, 16))


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"classes": ("a", "b", "d")}, "other classes"),
        ({"classes": ("b", "a", "c")}, "another order"),
        ({"size": (32, 32)}, "pixels"),
    ],
)
def test_cards_that_do_not_go_together_are_refused(other, named):
    with pytest.raises(wh.InputError, match=named):
        wh.Deck([make_card("smooth"), make_card("noisy", **other)])


def test_cards_without_profiles_can_only_be_averaged():
    card = wh.Card.from_module(wh.network("resnet18", width=2, classes=3), ("a", "b", "c"), (16, 16))
    with pytest.raises(wh.InputError, match="card 2 has no spectral profile"):
        wh.Deck([make_card("smooth"), card])
    assert wh.Deck([make_card("smooth"), card], "average")(smooth(2)).shape == (2, 3)


def test_an_older_card_plays_unfitted_but_not_fitted():
    deck = wh.Deck([make_card("smooth"), make_card("noisy", clean=False)], "weighted")
    assert deck(smooth(2)).isfinite().all()
    scores = FittedScores(slopes=((0.0,) * RINGS,) * 2, offsets=(0.0, 0.0))
    with pytest.raises(wh.InputError, match="card 2 does not know what clean images look like"):
        deck.with_gate("weighted", scores=scores)


@pytest.mark.parametrize("temperatures", [[1.0], [1.0, 0.0], [1.0, float("nan")]])
def test_temperatures_that_do_not_fit_are_refused(temperatures):
    with pytest.raises(wh.InputError, match="temperatures"):
        wh.Deck([make_card("smooth"), make_card("noisy")], temperatures=temperatures)
