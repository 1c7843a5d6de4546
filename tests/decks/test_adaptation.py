import numpy as np
import pytest
import torch
from made_cards import make_card, noisy, smooth
from torch import nn

import winninghand as wh
from winninghand.cards import adaptation_of
from winninghand.decks import with_bn_adaptation


def test_statistics_are_mixed_by_how_many_images_speak_for_each():
    norm = nn.BatchNorm2d(2)
    norm.running_mean, norm.running_var = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    model = nn.Sequential(norm).eval()
    images = torch.randn(6, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    mean, variance = images.mean((0, 2, 3)), images.var((0, 2, 3), correction=0)
    mean = (18 * norm.running_mean + 6 * mean) / 24
    variance = (18 * norm.running_var + 6 * variance) / 24
    expected = (images - mean[:, None, None]) / (variance + norm.eps).sqrt()[:, None, None]
    assert torch.allclose(with_bn_adaptation(model, 18.0)(images), expected, atol=1e-5)


def test_adaptation_is_off_by_default_and_leaves_the_card_alone(tmp_path):
    card = make_card("smooth")
    before = card(noisy(4))
    other = with_bn_adaptation(card, 1.0)
    assert adaptation_of(card) is None
    assert adaptation_of(other) == 1.0
    assert not torch.allclose(other(noisy(4)), before)
    assert torch.equal(card(noisy(4)), before)
    other.save(tmp_path / "a.card")
    assert torch.equal(wh.load(tmp_path / "a.card")(noisy(4)), before)


def test_a_large_prior_is_the_card_as_it_was():
    card = make_card("smooth")
    assert torch.allclose(with_bn_adaptation(card, 1e9)(noisy(4)), card(noisy(4)), atol=1e-5)


def test_every_card_of_a_deck_adapts(cards):
    deck = wh.Deck(cards, "average")
    assert adaptation_of(with_bn_adaptation(deck)) == 16.0
    assert not torch.allclose(with_bn_adaptation(deck)(smooth(8)), deck(smooth(8)))


@pytest.mark.parametrize("prior", [0, -1, float("nan"), float("inf")])
def test_priors_out_of_range_are_refused(cards, prior):
    with pytest.raises(wh.InputError, match="prior"):
        with_bn_adaptation(cards[0], prior)


def test_a_model_without_batch_norms_is_refused():
    with pytest.raises(wh.InputError, match="no batch norms"):
        with_bn_adaptation(nn.Linear(2, 2))


def test_a_prior_may_be_a_number_of_numpy(cards):
    assert adaptation_of(with_bn_adaptation(cards[0], np.int64(4))) == 4.0


class Frozen(nn.Module):
    """A norm with running statistics that is no batch norm of torch, as torchvision's frozen one."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(4))
        self.register_buffer("running_var", torch.ones(4))

    def forward(self, x):
        return (x - self.running_mean[:, None, None]) * self.running_var[:, None, None].rsqrt()


def test_norms_that_would_not_adapt_are_named():
    norm = nn.BatchNorm2d(4)
    norm.forward = lambda x: x
    for second, named in ((Frozen(), "'1' is of the class Frozen"), (norm, r"'1\.forward' was set")):
        with pytest.raises(wh.InputError, match=named):
            with_bn_adaptation(nn.Sequential(nn.BatchNorm2d(4), second))
