from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winninghand.base.errors import InputError
from winninghand.images import Split

SEEDS = st.integers(0, 2**32 - 1)
LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(lambda values: np.array(values, np.int64))


def split_of(labels):
    return Split(np.zeros((len(labels), 1, 1, 3), np.uint8), labels)


@given(LABELS, st.integers(1, 100), SEEDS)
def test_a_balanced_sample_is_as_even_as_the_classes_allow(labels, count, seed):
    indices = split_of(labels).balanced_sample(count, seed)
    assert indices.dtype == np.int64
    assert len(indices) == min(count, len(labels))
    assert (np.diff(indices) > 0).all()
    available = np.bincount(labels, minlength=6)
    taken = np.bincount(labels[indices], minlength=6)
    not_exhausted = taken < available
    if not_exhausted.any():
        assert taken[not_exhausted].min() >= taken.max() - 1


@given(LABELS, st.integers(1, 80), st.integers(1, 80), SEEDS)
def test_a_smaller_sample_is_part_of_a_larger_one(labels, one, other, seed):
    smaller, larger = (split_of(labels).balanced_sample(count, seed) for count in sorted((one, other)))
    assert np.isin(smaller, larger).all()


def test_samples_follow_the_seed():
    split = split_of(np.arange(500) % 10)
    first = split.balanced_sample(50, seed=1)
    assert np.array_equal(first, split.balanced_sample(50, seed=1))
    assert not np.array_equal(first, split.balanced_sample(50, seed=2))


@given(LABELS, st.floats(0.01, 0.99), SEEDS)
def test_validation_divides_every_class_alike(labels, fraction, seed):
    counts = np.bincount(labels)
    if (counts < 2).all():
        with pytest.raises(InputError):
            split_of(labels).validation(fraction, seed)
        return
    rest, chosen = split_of(labels).validation(fraction, seed)
    assert np.array_equal(np.sort(np.concatenate([rest, chosen])), np.arange(len(labels)))
    assert (np.diff(rest) > 0).all()
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) > 0
    assert set(labels[rest]) == set(labels)
    difference = np.bincount(labels[chosen], minlength=len(counts)) - counts * fraction
    assert (np.abs(difference) <= 1 + 1e-9).all()


@pytest.mark.parametrize("fraction", [0.1, 0.29, 0.3, 0.5])
def test_validation_total_is_exact_and_seeded(fraction):
    split = split_of(np.repeat(np.arange(7), np.arange(20, 90, 10)))
    rest, chosen = split.validation(fraction, seed=3)
    assert len(chosen) == round(len(split) * fraction)
    again = split.validation(fraction, seed=3)
    assert np.array_equal(rest, again[0])
    assert np.array_equal(chosen, again[1])
    assert not np.array_equal(chosen, split.validation(fraction, seed=4)[1])


def test_the_old_name_of_validation_works_and_says_the_new_one():
    split = split_of(np.arange(40) % 4)
    with pytest.warns(DeprecationWarning, match=r"Split\.held_out is now called Split\.validation"):
        old = split.held_out(0.25, seed=3)
    assert np.array_equal(old[1], split.validation(0.25, seed=3)[1])


def test_what_cannot_be_sampled_is_refused():
    split = split_of(np.arange(10) % 2)
    for count in (0, 2.5, True, "3", None, 10**30):
        with pytest.raises(InputError, match="number of images of a sample must be a whole number"):
            split.balanced_sample(count, seed=0)
    for seed in (-1, 0.5, 2**63):
        with pytest.raises(InputError, match="seed must be a whole number"):
            split.balanced_sample(3, seed=seed)
        with pytest.raises(InputError, match="seed must be a whole number"):
            split.validation(0.5, seed=seed)
    for fraction in (0.0, 1.0, float("nan"), "half"):
        with pytest.raises(InputError, match="between 0 and 1"):
            split.validation(fraction, seed=0)
