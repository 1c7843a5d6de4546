import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from winninghand.base.randomness import CounterRNG

FIRST_WORDS = [[354786998, -1865283336], [-724329448, 1274329244]]


@given(order=st.permutations(range(6)), count=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_a_stream_does_not_depend_on_its_batch(order, count):
    together = CounterRNG("a", torch.arange(6)).words(count)
    shuffled = CounterRNG("a", torch.tensor(order)).words(count)
    assert torch.equal(shuffled, together[torch.tensor(order)])
    alone = torch.cat([CounterRNG("a", torch.tensor([index])).words(count) for index in range(6)])
    assert torch.equal(alone, together)


def test_the_first_words_stay_what_they_are():
    """Archives written yesterday must be reproduced tomorrow."""
    assert CounterRNG("0/gaussian_noise/1", torch.tensor([0, 9999])).words(2).tolist() == FIRST_WORDS


def test_names_indices_and_calls_give_different_numbers():
    stream = CounterRNG("a", torch.arange(50))
    first, second = stream.words(1000), stream.words(1000)
    other = CounterRNG("b", torch.arange(50)).words(1000)
    assert torch.cat([first, second, other]).unique().numel() > 150_000 - 10


@pytest.mark.parametrize("shape", [(7,), (3, 5), ()])
def test_shapes(shape):
    stream = CounterRNG("a", torch.arange(4))
    for numbers in (stream.words, stream.uniform, stream.normal, lambda *shape: stream.integers(10, *shape)):
        assert numbers(*shape).shape == (4, *shape)


def test_uniform_numbers_fill_the_unit_interval_evenly():
    numbers = CounterRNG("u", torch.arange(200)).uniform(5000).flatten()
    assert numbers.min() >= 0 and numbers.max() < 1
    counts = torch.histc(numbers, 1000, 0, 1)
    chi_squared = ((counts - 1000) ** 2 / 1000).sum()
    assert abs(chi_squared - 999) < 4 * math.sqrt(2 * 999)


def test_normal_numbers_have_the_moments_of_the_normal_distribution():
    numbers = CounterRNG("n", torch.arange(200)).normal(5000).double().flatten()
    for power, expected, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((numbers**power).mean() - expected) < 4 * math.sqrt(spread / numbers.numel())


def test_neighbouring_rows_and_positions_are_uncorrelated():
    numbers = CounterRNG("c", torch.arange(300)).normal(3001).double()
    bound = 4 / math.sqrt(numbers.numel())
    assert abs((numbers[1:] * numbers[:-1]).mean()) < bound
    assert abs((numbers[:, 1:] * numbers[:, :-1]).mean()) < bound
    assert abs((numbers[:, 2:] * numbers[:, :-2]).mean()) < bound


def test_integers_cover_their_range_evenly():
    numbers = CounterRNG("i", torch.arange(100)).integers(7, 700).flatten()
    counts = torch.bincount(numbers, minlength=7)
    assert len(counts) == 7
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 6 + 4 * math.sqrt(12)
