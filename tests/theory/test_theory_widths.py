"""Widths are enough for every draw, and what is said to be enough is."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.theory import remedies
from winninghand.theory.choosing import assign
from winninghand.theory.layers import Layer
from winninghand.theory.widths import hidden_channels


def depthwise():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 3, 3, groups=3, bias=False),
        nn.ReLU(),
        nn.Conv2d(3, 3, 1, groups=3, bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12, 3, bias=False),
    )


def mixed():
    torch.manual_seed(66)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, groups=2, bias=False),
        nn.ReLU6(),
        nn.Conv2d(4, 4, 1, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def perceptron():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("inputs", [1, 2, 3, 8])
def test_hidden_channels_are_enough_for_all_samples(inputs, signed):
    samples, sides = 25, (1, 1)
    weight = torch.ones(2, inputs, 1, 1)
    shape = (inputs, 1, 1)
    layer = Layer(
        "", 0, 1, weight, weight * 0, False, signed, shape, (2, 1, 1), sides, (0, 0), sides, 1, None, None
    )
    neurons = hidden_channels(layer, samples)
    generator = np.random.default_rng(0)
    for _ in range(100):
        candidates = generator.uniform(-1, 1, (neurons, inputs)).astype(np.float32)
        positive, negative = np.full(inputs, samples), np.full(inputs, samples * signed)
        assign(candidates, positive, negative, np.zeros(neurons, np.int64))
        # All that were wanted were found.
        assert not positive.any()
        assert not negative.any()


@pytest.mark.parametrize(
    ("target", "kind", "epsilon", "depth"),
    [
        (depthwise, "float", 0.01, "2L"),
        (depthwise, "float", 0.05, "L+1"),
        (mixed, "binary", 0.5, "2L"),
        (perceptron, "float", 1e-4, "2L"),
        (perceptron, "binary", 0.1, "2L"),
    ],
)
def test_no_seed_is_refused_at_the_width_that_was_chosen(target, kind, epsilon, depth):
    shape = (6,) if target is perceptron else (2 if target is mixed else 3, 4, 4)
    for seed in range(8):
        ticket = wh.theory.embed(target(), epsilon, seed, kind, depth=depth, input_shape=shape)
        assert ticket.bound <= epsilon
        for layer, width in zip(ticket.certificate.layers, ticket.widths, strict=True):
            assert layer.samples >= width.samples


def test_a_report_tells_the_fewest_samples_of_any_weight():
    for seed in range(10):
        ticket = wh.theory.embed(nn.Linear(1, 2, bias=False), 1e9, seed, samples=30, input_shape=(1,))
        assert ticket.certificate.layers[0].samples == 30


@pytest.mark.parametrize(
    ("kind", "depth", "epsilon", "samples"),
    [
        ("float", "2L", 1e-3, 1),
        ("float", "2L", 1e-3, 12),
        ("float", "L+1", 0.01, 12),
        ("binary", "2L", 0.2, 20),
    ],
)
def test_what_is_said_to_do_does_and_layers_are_named(kind, depth, epsilon, samples):
    asked = {"kind": kind, "depth": depth, "input_shape": (6,)}
    with pytest.raises(wh.InputError, match=r"by errors of \d\.weight \(\d+ samples for each") as told:
        wh.theory.embed(perceptron(), epsilon, samples=samples, **asked)
    named = re.search(r"samples=(\d+) would do$", str(told.value))
    assert wh.theory.embed(perceptron(), epsilon, samples=int(named[1]), **asked).bound <= epsilon


def test_the_worst_layer_comes_first():
    target = perceptron()
    with torch.no_grad():
        target[0].weight.mul_(100)
        target[0].bias.mul_(100)
    with pytest.raises(
        wh.InputError, match=r"by errors of 0\.weight \(8 samples for each of 35 weights, the "
    ):
        wh.theory.embed(target, 1e-5, samples=8, input_shape=(6,))


def test_what_takes_too_long_to_try_is_an_estimate(monkeypatch):
    monkeypatch.setattr(remedies, "_AFFORDABLE", 0)
    with pytest.raises(
        wh.InputError, match=r"about (\d+) samples for each weight should do; give samples=\1"
    ):
        wh.theory.embed(perceptron(), 0.01, samples=6, input_shape=(6,))


def test_layers_beyond_the_scale_are_named():
    target = perceptron()
    assert "rescaled" not in repr(wh.theory.embed(target, 0.1, input_shape=(6,)))
    with torch.no_grad():
        target[2].weight.mul_(3 / target[2].weight.abs().max())
    ticket = wh.theory.embed(target, 0.1, input_shape=(6,))
    assert ticket.rescaled == {"2.weight": 8.0}
    assert "1 layer rescaled" in repr(ticket)


@pytest.mark.parametrize(("weights", "biases"), [(1e-42, 1.0), (1e-38, 1e3), (0.0, 1.0), (1e-30, 0.0)])
def test_weights_next_to_nothing_are_embedded_as_others(weights, biases):
    target = perceptron()
    with torch.no_grad():
        target[0].weight.mul_(weights)
        target[0].bias.fill_(biases)
    assert wh.theory.embed(target, 0.5, input_shape=(6,)).bound <= 0.5


@pytest.mark.parametrize(
    ("ask", "named"),
    [
        (
            lambda: wh.theory.embed(perceptron(), 1e-12, kind="binary", input_shape=(6,)),
            r"take \S+ GiB, more",
        ),
        (lambda: wh.theory.embed(perceptron(), 1e-300, kind="binary", input_shape=(6,)), r"e\+\d+ weights"),
        (
            lambda: wh.theory.embed(nn.Linear(3, 3).apply(huge), input_shape=(3,)),
            "beyond random numbers in single precision",
        ),
        (lambda: wh.theory.best_subsets("ab", [0.1]), "must be arrays of numbers"),
        (lambda: wh.theory.best_subsets([[0.1], [0.1, 0.2]], [0.1, 0.2]), "rows of one length"),
    ],
)
def test_numbers_beyond_all_use_are_told_in_one_short_line(ask, named):
    with pytest.raises(wh.InputError, match=named) as told:
        ask()
    assert len(str(told.value)) < 350


def huge(layer):
    with torch.no_grad():
        layer.weight.fill_(1e30)


def test_an_epsilon_of_numpy_is_a_number_and_a_batch_is_of_one_image_or_more():
    ticket = wh.theory.embed(perceptron(), np.float32(0.1), input_shape=(6,))
    with pytest.raises(wh.InputError, match="batch_size must be a whole number"):
        ticket.certificate.prove(torch.rand(2, 6), 0)
