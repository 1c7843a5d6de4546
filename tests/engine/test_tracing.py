"""Programs compute what their networks do; what a program cannot say is refused with its reason."""

from collections import Counter

import pytest
import torch
from torch import nn

import winninghand as wh
from tests.engine.drawn import drawn_card
from winninghand.engine.program import Affine, Convolution, Pool, interpret, together
from winninghand.engine.recording import UntraceableError
from winninghand.engine.tracing import trace

SMALL = {
    **{name: {"depth": 10, "widen_factor": 2, "width": 4} for name in ("wideresnet", "dm_wideresnet")},
    "resnext29": {"cardinality": 2, "base_width": 4, "width": 8},
    **{name: {"width": 4, "input_size": 16} for name in ("conv2", "conv4", "conv6", "conv8")},
}


def card_of(network, size=(16, 16), classes=4):
    return wh.Card.from_module(network, [str(number) for number in range(classes)], size)


def kinds(program):
    return Counter(type(step).__name__ for step in program.steps)


@pytest.mark.parametrize("name", wh.names("networks"))
def test_every_network_of_the_catalog(name):
    card = card_of(wh.network(name, classes=4, **SMALL.get(name, {"width": 4})))
    images = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(interpret(trace(card), images), card(images), atol=1e-4, rtol=1e-4)


def test_norms_additions_and_activations_are_in_the_convolutions():
    program = trace(card_of(wh.network("resnet18", classes=4, width=4)))
    # The normalisation, 20 convolutions, the mean, and the head.
    assert kinds(program) == {"Affine": 1, "Convolution": 21, "Pool": 1}
    convolutions = [step for step in program.steps if isinstance(step, Convolution)]
    assert sum(step.addend is not None for step in convolutions) == 8
    assert convolutions[0].name == "conv1.weight"
    assert convolutions[-1].name == "fc.weight"


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(seed):
    card = drawn_card(seed)
    images = torch.rand(3, 3, *card.input_size)
    with torch.no_grad():
        torch.testing.assert_close(interpret(trace(card), images), card(images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "what",
    [
        lambda x, y: torch.add(x, y, alpha=0.5) + y,
        lambda x, y: x - 2 * y,
        lambda x, y: torch.sub(x, y.flatten(2).flatten(1).view_as(y), alpha=3),
        lambda x, y: (1 - x) * y,
        lambda x, y: torch.add(torch.full((4, 1, 1), 2.0), y, alpha=0.5) - x,
        lambda x, y: -y.sub_(x, alpha=0.25) + y,
    ],
)
def test_multiples_and_differences(what):
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return what(self.first(x).relu(), self.second(x).relu()).mean((2, 3))

    card, images = card_of(Mixed()), torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(interpret(trace(card), images), card(images), atol=1e-5, rtol=1e-5)


def test_a_padded_image_and_a_subsampled_one_cost_no_copy():
    class Same(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=2)

        def forward(self, x):
            padded = nn.functional.pad(x[:, :, ::2, ::2], (0, 1, 0, 1))
            return self.conv(padded).mean((2, 3))

    program = trace(card_of(Same()))
    # Every second pixel, with zeros at two sides, is a convolution with the unit matrix.
    assert kinds(program) == {"Affine": 1, "Convolution": 2, "Pool": 1}


def test_cards_of_one_body_are_one_program():
    first = wh.network("resnet18", classes=4, width=4)
    second = wh.network("resnet18", classes=4, width=4)
    second.load_state_dict(first.state_dict())
    for norm in second.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_var.uniform_(0.5, 2)
            norm.running_mean.uniform_(-1, 1)
    cards = [card_of(first), card_of(second)]
    program = together([trace(card) for card in cards])
    assert program.cards == 2
    # The head has no norm: one set of scales is enough.
    assert program.steps[-1].scales.shape == (1, 4)
    assert program.steps[1].scales.shape == (2, 4)
    images, numbers = torch.rand(5, 3, 16, 16), torch.tensor([0, 1, 1, 0, 1])
    with torch.no_grad():
        expected = torch.stack([cards[number](images)[row] for row, number in enumerate(numbers.tolist())])
    torch.testing.assert_close(interpret(program, images, numbers), expected, atol=1e-4, rtol=1e-4)
    # Of three of which two are alike, each has a row of its own.
    three = together([together([trace(cards[0])] * 2), trace(cards[1])])
    assert (three.cards, three.steps[1].biases.shape, three.steps[-1].biases.shape) == (3, (3, 4), (1, 4))
    torch.testing.assert_close(interpret(three, images, 2 * numbers), expected, atol=1e-4, rtol=1e-4)
    second.conv1.weight.data[0, 0, 0, 0] += 1
    assert together([trace(card) for card in cards]) is None


def test_levels_of_quantized_and_of_binary_weights():
    card = card_of(wh.network("resnet20", classes=4))
    for form, binary in (("int8", False), ("binary", True)):
        for step in trace(card.quantized(form)).convolutions:
            if step.name:  # not the shortcuts, which have no weights of their own
                assert step.levels.binary == binary
                weight = step.levels.values * step.levels.scales[:, None, None, None]
                assert torch.equal(weight, step.weight)
    assert all(step.levels is None for step in trace(card).convolutions if step.name)


class Refused(nn.Module):
    """A convolution, and what a program cannot say."""

    def __init__(self, what):
        super().__init__()
        self.conv, self.what = nn.Conv2d(3, 4, 1), what

    def forward(self, x):
        return self.what(self.conv(x)).mean((2, 3))


def alias_changed(x):
    rows = x[:, :, 1:]
    rows.relu_()
    return x


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (lambda x: x if x.sum() > 0 else -x, "sum"),
        (lambda x: x * float(x[0, 0, 0, 0]), "_local_scalar_dense"),
        (lambda x: x + torch.rand(1), "random"),
        (lambda x: x - x.mean(0, keepdim=True), "mean"),
        (lambda x: x.flatten(2).softmax(1), "softmax"),
        (lambda x: x.flip(0), "mixes images"),
        (lambda x: x + torch.arange(16), "one per channel"),
        (lambda x: nn.functional.batch_norm(x, None, None, training=True), "measures each batch"),
        (lambda x: x.double().float(), "float64"),
        (lambda x: x * (1 if len(x) == 2 else 2), "away from PyTorch's"),
        (alias_changed, "in place"),
        (lambda x: nn.functional.avg_pool2d(x[0], 2)[None], "mixes images"),
        (lambda x: x.nothing, "could not follow it .AttributeError"),
    ],
)
def test_what_no_program_says(what, reason):
    card = card_of(wh.network("resnet18", classes=4, width=4))
    card.network = Refused(what)
    with pytest.raises(UntraceableError, match=reason):
        trace(card)


def test_other_defaults_of_torch_change_nothing():
    card = card_of(wh.network("resnet20", classes=4, width=4))
    torch.set_default_dtype(torch.float64)
    try:
        program = trace(card)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(step.weight.dtype == step.scales.dtype == torch.float32 for step in program.convolutions)


def test_only_single_precision_is_traced():
    card = card_of(wh.network("resnet18", classes=4, width=4)).double()
    with pytest.raises(UntraceableError, match="not float32"):
        trace(card)


def test_pools_and_their_borders():
    pools = [nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2, 2, 0, True, False)]
    network = nn.Sequential(*pools, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    program = trace(card_of(network, (15, 19)))
    assert [step.counts_padding for step in program.steps if isinstance(step, Pool)] == [
        False, True, False, False,
    ]  # fmt: skip
    assert isinstance(program.steps[0], Affine)


def test_a_pool_to_a_larger_image_makes_the_head_smaller():
    # As in VGGs, whose heads expect 7 × 7 places, whatever the size of the image.
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 4)
    )
    program = trace(card_of(network))
    assert [step.weight.shape for step in program.convolutions] == [(8, 3, 3, 3), (4, 8, 2, 2)]
