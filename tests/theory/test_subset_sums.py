"""Best subsets against all subsets."""

import itertools

import numpy as np
import pytest

from winninghand import InputError
from winninghand.theory.subset_sums import best_subsets


def brute_force(samples, target, size=None):
    masks = np.array(list(itertools.product([False, True], repeat=len(samples))))
    allowed = (masks & (samples == 0)).sum(1) == 0
    if size is not None:
        allowed &= masks.sum(1) == size
    return np.abs(masks[allowed] @ samples - target).min()


@pytest.mark.parametrize("size", [None, 0, 2, 3])
@pytest.mark.parametrize("kind", ["uniform", "normal", "signs", "masked"])
def test_no_subset_is_nearer(kind, size):
    rng = np.random.default_rng(0)
    for n in (3, 4, 7, 10):
        samples = rng.uniform(-1, 1, (20, n))
        if kind == "normal":
            samples = rng.normal(size=(20, n))
        elif kind == "signs":
            samples = np.sign(samples)
        elif kind == "masked":
            samples[:, 3:] *= rng.random((20, n - 3)) < 0.5
        targets = rng.uniform(-2, 2, 20)
        found = best_subsets(samples, targets, size, threads=2)
        best = [brute_force(*problem, size) for problem in zip(samples, targets, strict=True)]
        np.testing.assert_allclose(np.abs(found.errors), best, rtol=0, atol=1e-12)
        np.testing.assert_allclose((samples * found.kept).sum(1), targets + found.errors, rtol=0, atol=1e-12)
        assert size is None or (found.kept.sum(1) == size).all()
        assert not (found.kept & (samples == 0)).any()


def test_many_targets_of_one_row_of_forty_samples():
    samples = np.random.default_rng(1).uniform(-1, 1, 40)
    targets = np.linspace(-0.5, 0.5, 5)
    found = best_subsets(samples, targets)
    # 2^40 sums lie within ±20, so that neighbours are about 1e-11 apart.
    assert np.abs(found.errors).max() < 1e-9
    np.testing.assert_allclose(found.kept @ samples, targets, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((np.ones(41), [0.0]), "at most 40 samples, not 41"),
        ((np.ones((2, 3)), [0.0]), r"not \(2, 3\) and \(1,\)"),
        (([1.0, 0.0], [0.0], 2), "rows of 1 samples, which have no subset of 2"),
        (([np.nan], [0.0]), "finite"),
    ],
)
def test_what_has_no_subset_is_told(arguments, named):
    with pytest.raises(InputError, match=named):
        best_subsets(*arguments)
