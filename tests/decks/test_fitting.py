from dataclasses import replace

import numpy as np
import pytest
import torch
from made_cards import make_card, noisy, smooth
from torch.nn import functional

import winninghand as wh
from winninghand.decks.building import SizeLimit, corrupted_accuracy, select
from winninghand.decks.fitting import (
    fit_gate,
    fit_temperatures,
    fitted,
    fitting_conditions,
    fitting_images,
    with_fitted_confidence,
)
from winninghand.decks.fitting_data import CLEAN, FittingData, collect, diversity
from winninghand.decks.gate import gate_settings
from winninghand.images import Split
from winninghand.spectra import log_spectra

COUNT = 200


def specialists(skills):
    """Answers to smooth (clean) and noisy images of cards that are right this often on each."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (COUNT,), generator=generator)
    right = functional.one_hot(labels, 3).float()
    wrong = functional.one_hot((labels + 1) % 3, 3).float()
    logits = torch.empty(len(skills), 2, COUNT, 3)
    for card, pair in enumerate(skills):
        for condition, skill in enumerate(pair):
            knows = torch.rand(COUNT, 1, generator=generator) < skill
            logits[card, condition] = 3 * torch.where(knows, right, wrong)
    spectra = torch.stack([log_spectra(smooth(COUNT)), log_spectra(noisy(COUNT))])
    return FittingData((CLEAN, ("speckle_noise", 3)), logits, spectra, labels)


@pytest.mark.parametrize("gate", ["spectral", "spectral_image", "stream", "weighted"])
def test_a_fitted_gate_plays_the_card_that_knows(gate):
    # The cards' own domains mislead: the one trained on smooth images knows the noisy ones.
    data = specialists([(0.3, 0.9), (0.9, 0.3)])
    deck = fitted(wh.Deck([make_card("smooth"), make_card("noisy")], gate), data)
    assert (deck.weigh(data.spectra[0])[20:].argmax(dim=1) == 1).all()
    deck.reset()
    assert (deck.weigh(data.spectra[1])[20:].argmax(dim=1) == 0).all()
    assert corrupted_accuracy(deck, data) == pytest.approx(0.9, abs=0.06)


def test_cards_that_are_equally_good_get_equal_weights():
    deck = fitted(
        wh.Deck([make_card("smooth"), make_card("noisy")], "weighted"), specialists([(1, 1), (1, 1)])
    )
    assert torch.allclose(deck.choose(noisy(9)), torch.full((9, 2), 0.5), atol=1e-3)


def test_one_active_card_is_better_than_the_plain_average():
    data = specialists([(0.9, 0.35), (0.4, 0.8), (0.5, 0.55)])
    cards = [make_card("smooth"), make_card("noisy"), make_card("noisy", 2)]
    one = fitted(wh.Deck(cards, "weighted", max_active=1), data)
    assert corrupted_accuracy(one, data) == pytest.approx(0.8, abs=0.06)
    assert corrupted_accuracy(one, data) > corrupted_accuracy(wh.Deck(cards, "average"), data) + 0.05


def test_two_active_cards_are_those_that_are_right_together():
    # Cards 0 and 1 are the best alone, and err together; where they err, 2 is right.
    labels = torch.arange(200) % 3
    places = torch.arange(200) % 10
    right, wrong = (torch.eye(3)[(labels + shift) % 3] for shift in (0, 1))
    knows = [places < 6, places < 6, places >= 5]
    logits = torch.stack([torch.where(good[:, None], 3 * right, 0.5 * wrong) for good in knows])
    data = FittingData((("saturate", 1),), logits[:, None], log_spectra(smooth(200))[None], labels)
    cards = [make_card("smooth", seed) for seed in range(3)]
    deck = fitted(wh.Deck(cards, "weighted", max_active=2), data)
    pairs = (deck.weigh(data.spectra[0]) > 0).float().mean(dim=0)
    assert pairs[2] > 0.9


def test_hands_are_what_a_gate_may_play(cards):
    pairs = wh.Deck(cards, "weighted", max_active=2)._gate.hands()
    assert pairs.shape == (6, 4)
    assert (pairs.sum(dim=1) == 2).all()
    assert len(pairs.unique(dim=0)) == 6
    domains = wh.Deck(cards, "spectral_image")._gate.hands()
    assert domains.tolist() == [[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5]]
    for gate, most in (("weighted", None), ("weighted", 4), ("spectral", 1), ("average", None)):
        assert wh.Deck(cards, gate, max_active=most)._gate.hands() is None


def test_the_confidence_is_the_one_that_is_right_most_often():
    # Nothing tells where which card is right, and the average of all is: who errs is not sure.
    data = specialists([(0.6, 0.6), (0.55, 0.55), (0.6, 0.6)])
    data = replace(data, logits=data.logits * torch.where(data.correct, 1, 0.2)[..., None])
    cards = [make_card("smooth"), make_card("noisy"), make_card("noisy", 2)]
    deck = with_fitted_confidence(wh.Deck(cards, "weighted", max_active=1), data)
    assert deck.settings.confidence is not None
    assert corrupted_accuracy(deck, data) > corrupted_accuracy(deck.with_gate("weighted", max_active=1), data)
    sure = with_fitted_confidence(
        wh.Deck(cards, "weighted", max_active=1), specialists([(1, 0), (0, 1), (0, 0)])
    )
    assert sure.settings.confidence is None
    with pytest.raises(wh.InputError, match="confidence"):
        with_fitted_confidence(wh.Deck(cards, "average"), data)


def test_the_temperature_undoes_a_scaling_of_the_logits():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(1, 1, 4000, 3, generator=generator)
    labels = torch.multinomial(logits[0, 0].softmax(1), 1, generator=generator).squeeze(1)
    spectra = torch.zeros(1, 4000, 16, 9)
    assert fit_temperatures(FittingData((CLEAN,), 5 * logits, spectra, labels))[0] == pytest.approx(
        5, rel=0.1
    )


def test_selection_takes_the_best_then_what_completes_it_within_the_budget():
    data = specialists([(0.9, 0.35), (0.5, 0.6), (0.5, 0.85)])
    cards = [make_card("smooth"), make_card("noisy"), make_card("noisy", 2)]
    settings = gate_settings("weighted", {"max_active": 2})
    steps = select(cards, data, "weighted", settings, SizeLimit(10_000, [1000, 1000, 1000]))
    assert steps[0].card == 2
    assert [step.accuracy for step in steps] == sorted({step.accuracy for step in steps})
    assert len(select(cards, data, "weighted", settings, SizeLimit(5500, [1000] * 3))) == 1
    assert select(cards, data, "weighted", settings, SizeLimit(9000, [1000, 1000, 9000]))[0].card == 1
    with pytest.raises(wh.InputError, match="may have 5,096 bytes"):
        select(cards, data, "weighted", settings, SizeLimit(2000, [1000] * 3))


def test_selection_measures_the_deck_as_it_will_be_with_its_confidence():
    # Nothing tells where which card is right, and the average is: who errs is not sure.
    data = specialists([(0.6, 0.6), (0.55, 0.55), (0.6, 0.6)])
    data = replace(data, logits=data.logits * torch.where(data.correct, 1, 0.2)[..., None])
    cards = [make_card("smooth"), make_card("noisy"), make_card("noisy", 2)]
    settings, limit = gate_settings("weighted", {"max_active": 1}), SizeLimit(10_000, [1000] * 3)
    without = select(cards, data, "weighted", settings, limit)
    steps = select(cards, data, "weighted", settings, limit, fallback=True)
    numbers = [step.card for step in steps]
    chosen = data.of_cards(numbers)
    deck = wh.Deck([cards[number] for number in numbers], "weighted", settings)
    as_it_will_be = with_fitted_confidence(deck, chosen.of_images(0))
    assert as_it_will_be.settings.confidence is not None
    assert steps[-1].accuracy == corrupted_accuracy(as_it_will_be, chosen.of_images(1))
    assert steps[-1].accuracy > without[-1].accuracy + 0.02


def test_diversity_counts_differing_data_and_common_errors():
    logits = torch.eye(2)[torch.tensor([[[0, 0, 0, 0]], [[0, 0, 1, 1]], [[1, 1, 0, 0]]])]
    data = FittingData((("saturate", 1),), logits, torch.zeros(1, 4, 16, 9), torch.tensor([0, 1, 0, 1]))
    pairs = {pair.cards: pair for pair in diversity(data)}
    assert pairs[0, 1].disagreement == 0.5
    assert pairs[1, 2].disagreement == 1
    assert pairs[0, 1].error_correlation == pytest.approx(0)
    assert pairs[1, 2].error_correlation == pytest.approx(-1)


@pytest.fixture
def split():
    images = torch.cat([smooth(600), noisy(600)]).mul(255).byte().permute(0, 2, 3, 1).numpy()
    return Split(np.ascontiguousarray(images), np.arange(1200) % 3)


def with_recipe(card, fraction, seed):
    metadata = card.metadata.model_copy(
        update={"recipe": {"seed": seed, "training": {"validation": fraction}}}
    )
    return wh.Card(card.network, metadata, card.profile)


def test_only_images_that_every_card_held_out_are_unseen(split):
    cards = [with_recipe(make_card("smooth"), 0.5, 0), with_recipe(make_card("noisy"), 0.4, 1)]
    images = fitting_images(cards, split, limit=320)
    assert images.unseen
    assert len(images.indices) == 320
    assert set(images.indices) <= set(split.validation(0.4)[1])
    assert not fitting_images([*cards, make_card("noisy")], split, limit=320).unseen


def test_the_data_are_those_of_the_cards_to_the_corrupted_images(split, cards):
    indices = np.array([3, 700, 1100])
    data = collect(cards, split, indices, [CLEAN, ("speckle_noise", 2)], seed=1, batch_size=2)
    shown = wh.corrupt(split.images[indices], "speckle_noise", 2, seed=1, indices=indices)
    images = torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 255
    assert torch.allclose(data.spectra[1], log_spectra(images))
    assert torch.allclose(data.logits[2, 1], cards[2](images), atol=1e-4)
    assert data.labels.tolist() == split.labels[indices].tolist()


def test_a_deck_is_fitted_on_training_images_under_the_extra_corruptions(split, cards):
    assert len(fitting_conditions()) == 21
    done = []
    deck = fit_gate(wh.Deck(cards, "weighted"), split, limit=30, progress=done.append)
    assert sum(done) == 21 * 30
    assert deck.settings.scores is not None
    assert not torch.equal(deck.temperatures, torch.ones(4))
    again = fit_gate(wh.Deck(cards, "weighted"), split, limit=30)
    assert again.settings == deck.settings
