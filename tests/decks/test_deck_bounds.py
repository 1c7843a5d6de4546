"""Decks of other precisions, under threads, of long batches, and of what is no card."""

import threading

import numpy as np
import pytest
import torch
from made_cards import noisy, smooth
from PIL import Image
from torch import nn

import winninghand as wh
from winninghand.decks import fit_gate, with_bn_adaptation
from winninghand.decks.gates.stream import RunningMean


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("gate", ["average", "spectral", "spectral_image", "stream", "weighted"])
def test_a_deck_of_another_precision_leaves_the_callers_cards_alone(cards, dtype, gate):
    images = torch.cat([smooth(3), noisy(3)])
    deck = wh.Deck(cards, gate)
    expected, weights = deck.answer(images)
    deck.reset()
    other = wh.Deck(cards, gate).to(dtype)
    for given in (images, images.to(dtype)):
        other.reset()
        answer = other.answer(given)
        assert torch.allclose(answer.outputs.exp().float(), expected.exp(), atol=0.1)
        assert torch.allclose(answer.weights.float(), weights, atol=0.05)
    assert {parameter.dtype for parameter in other.parameters()} == {dtype}
    assert {parameter.dtype for card in cards for parameter in card.parameters()} == {torch.float32}
    assert torch.equal(wh.Deck(cards, gate)(images), expected)


def test_halves_that_a_gate_divides_under_autocast(cards):
    images = torch.cat([smooth(3), noisy(3)])
    deck = wh.Deck(cards, "spectral_image")
    with torch.autocast("cpu", torch.bfloat16):
        outputs = deck(images.bfloat16())
    assert torch.allclose(outputs.exp(), deck(images).exp(), atol=0.05)


def test_a_default_of_double_precision_changes_nothing(cards):
    images = torch.cat([smooth(3), noisy(3)])
    expected = [wh.Deck(cards, gate)(images) for gate in ("weighted", "spectral_image", "stream")]
    torch.set_default_dtype(torch.float64)
    try:
        made = wh.Card(*cards[0].parts)
        found = [wh.Deck(cards, gate)(images) for gate in ("weighted", "spectral_image", "stream")]
        assert torch.equal(made(images), cards[0](images))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_a_long_stream_is_one_stream_and_takes_linear_memory():
    values = torch.rand(1000, 3, generator=torch.Generator().manual_seed(0))
    whole = RunningMean(0.1).after_each(values)
    mean = RunningMean(0.1)
    parts = torch.cat([mean.after_each(part) for part in values.split(7)])
    assert torch.allclose(whole, parts, atol=1e-6)
    expected, kept = torch.zeros(3), 0.0
    for value in values:
        expected, kept = 0.9 * expected + 0.1 * value, 0.9 * kept + 0.1
    assert torch.allclose(whole[-1], expected / kept, atol=1e-6)
    # 100,000 images would need 80 GB where memory grew with the square of their number.
    assert RunningMean(0.1).after_each(torch.ones(100_000, 1)).shape == (100_000, 1)


def test_threads_share_a_stream(cards):
    deck = wh.Deck(cards, "stream")
    lengths, errors = [1, 2, 3, 5], []

    def play(length):
        try:
            with torch.inference_mode():
                for _ in range(10):
                    assert deck(smooth(length)).isfinite().all()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=play, args=(length,)) for length in lengths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    # No batch was lost: what the shares lack to 1 counts every image.
    assert deck._gate._mean._missing == pytest.approx(0.9 ** (10 * sum(lengths)))
    with_bn_adaptation(deck)(smooth(2))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a.card"], "no such file"),
        ("a.card", "not of str"),
        ([nn.Linear(2, 2)], "not of Linear"),
        ([], "1 to 256"),
        (None, "not of NoneType"),
    ],
)
def test_what_is_no_list_of_cards_is_told(given, said):
    with pytest.raises(wh.InputError, match=said):
        wh.Deck(given)


def test_a_card_or_a_deck_is_no_list_of_cards(cards):
    with pytest.raises(wh.InputError, match="list of cards, not of one card"):
        wh.Deck(cards[0])
    with pytest.raises(wh.InputError, match=r"deck\.cards"):
        wh.Deck([wh.Deck(cards)])


@pytest.mark.parametrize("temperatures", [[1e-300] * 4, [0, 1, 1, 1], [1e9] * 4, ["1"] * 4, [torch.nan] * 4])
def test_temperatures_out_of_range_are_refused(cards, temperatures):
    with pytest.raises(wh.InputError, match="temperatures in"):
        wh.Deck(cards, "average", temperatures=temperatures)
    deck = wh.Deck(cards, "average")
    state = deck.state_dict() | {"temperatures": torch.tensor([1.0, 1.0, 0.0, 1.0])}
    with pytest.raises(wh.InputError, match="temperatures in"):
        deck.load_state_dict(state)


@pytest.mark.parametrize("make", [lambda cards: cards[0], lambda cards: wh.Deck(cards)], ids=["card", "deck"])
@pytest.mark.parametrize(
    ("images", "said"),
    [
        (smooth(2) * 255, "divide bytes by 255"),
        (-smooth(2) * 255, "divide bytes by 255"),
        (smooth(2).index_fill(3, torch.tensor([3]), torch.nan), "NaN or infinite"),
        (smooth(2).index_fill(3, torch.tensor([3]), torch.inf), "NaN or infinite"),
        (smooth(2).index_fill(3, torch.tensor([3]), -torch.inf), "NaN or infinite"),
        ((smooth(2) * 255).byte(), "divide bytes by 255"),
        (smooth(2)[0], "shape"),
        (smooth(2).numpy(), "not ndarray; for files, pictures and arrays there is predict"),
        (Image.fromarray(np.zeros((16, 16, 3), np.uint8)), "not Image; for files"),
        ("a.png", "not str; for files"),
        (None, "not NoneType"),
    ],
)
def test_images_that_are_none_are_told(cards, make, images, said):
    with pytest.raises(wh.InputError, match=said):
        make(cards)(images)


def test_noise_added_to_images_is_no_mistake(cards):
    assert cards[0](smooth(2) + torch.randn(2, 3, 16, 16)).isfinite().all()
    images = smooth(4)
    by_vmap = torch.func.vmap(lambda image: cards[0](image[None])[0])(images)
    assert torch.allclose(by_vmap, cards[0](images), atol=1e-5)


class Activated(nn.BatchNorm2d):
    """A batch norm with an activation, as some libraries have."""

    def forward(self, batch):
        return super().forward(batch).relu()


def test_norms_of_other_classes_are_named():
    own = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(Activated(3)))
    with pytest.raises(wh.InputError, match=r"'1\.0' is of the class Activated"):
        with_bn_adaptation(own)
    with pytest.raises(wh.InputError, match="InstanceNorm2d"):
        with_bn_adaptation(nn.Sequential(nn.InstanceNorm2d(3, track_running_stats=True)))
    with pytest.raises(wh.InputError, match="no batch norms"):
        with_bn_adaptation(nn.Sequential(nn.GroupNorm(1, 3), nn.BatchNorm2d(3, track_running_stats=False)))
    assert type(own[1][0]) is Activated


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.BatchNorm1d, (5, 3)),
        (nn.BatchNorm1d, (5, 3, 7)),
        (nn.BatchNorm2d, (5, 3, 4, 4)),
        (nn.BatchNorm3d, (5, 3, 2, 2, 2)),
    ],
)
def test_a_huge_prior_changes_nothing_and_a_small_one_forgets(norm, shape):
    model = nn.Sequential(norm(3)).eval()
    model[0].running_mean.fill_(0.5)
    batch = torch.rand(shape)
    for prior in (1e12, 1e300, 10**400):
        assert torch.equal(with_bn_adaptation(model, prior)(batch), model(batch))
    centred = with_bn_adaptation(model, 1e-9)(batch)
    assert torch.allclose(centred.transpose(0, 1).flatten(1).mean(1), torch.zeros(3), atol=1e-5)
    again = with_bn_adaptation(with_bn_adaptation(model, 1e-9), 1e12)
    assert torch.equal(again(batch), model(batch))


@pytest.mark.parametrize("prior", [True, "16", None, [16]])
def test_priors_that_are_no_numbers_are_refused(cards, prior):
    with pytest.raises(wh.InputError, match="prior"):
        with_bn_adaptation(cards[0], prior)


@pytest.mark.parametrize("name", ["temperatures", "slopes", "offsets"])
def test_a_state_that_is_not_finite_is_refused(cards, name):
    scores = {"slopes": [[0.0] * 8] * 4, "offsets": [0.0] * 4}
    deck = wh.Deck(cards, "weighted", scores=scores)
    state = deck.state_dict()
    state[name] = torch.full_like(state[name], torch.nan)
    with pytest.raises(wh.InputError, match=f"'{name}' holds"):
        deck.load_state_dict(state)


def test_a_card_that_gives_no_numbers_is_not_fitted(cards, tiny_images):
    card = wh.Card.from_module(
        wh.network("conv2", width=2, classes=2, input_size=16), tiny_images.classes, (16, 16)
    )
    card.network.classifier[4].bias.data[0] = torch.nan
    with pytest.raises(wh.InputError, match="card 1 gives logits that are NaN or infinite under clean"):
        fit_gate(wh.Deck([card], "average"), tiny_images.train, limit=20)


def test_what_was_loaded_in_inference_mode_can_be_trained(cards, tmp_path):
    wh.Deck(cards).save(tmp_path / "a.deck")
    with torch.inference_mode():
        deck = wh.load(tmp_path / "a.deck")
    deck(smooth(2)).sum().backward()
    assert deck.cards[0].network.fc.weight.grad is not None


def test_a_converted_deck_is_written_as_what_it_holds(cards, tmp_path):
    deck = wh.Deck(cards, "weighted").half()
    deck.save(tmp_path / "a.deck")
    loaded = wh.load(tmp_path / "a.deck")
    for name, tensor in deck.state_dict().items():
        assert torch.equal(
            loaded.state_dict()[name], tensor.float() if tensor.is_floating_point() else tensor
        )
