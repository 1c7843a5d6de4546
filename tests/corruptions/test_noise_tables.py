"""The alias tables behind the noise family."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.noise import LEVELS, alias_table, noisy


def probabilities_of(table):
    """The matrix that an alias table stands for."""
    entries = table.view(LEVELS, LEVELS).long()
    alias, threshold = entries & 255, (entries >> 8) + 2**23
    kept = threshold.double() / 2**24 / LEVELS
    matrix = kept.clone()
    return matrix.scatter_add_(1, alias, 1 / LEVELS - kept)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_a_table_stands_for_its_matrix(seed):
    generator = np.random.default_rng(seed)
    weights = torch.from_numpy(generator.gamma(generator.choice([0.05, 1, 20]), size=(LEVELS, LEVELS)) + 1e-9)
    matrix = weights / weights.sum(1, keepdim=True)
    assert torch.allclose(probabilities_of(alias_table(matrix)), matrix, atol=1e-7, rtol=0)


def test_values_are_drawn_as_their_rows_say():
    generator = np.random.default_rng(0)
    weights = torch.from_numpy(generator.gamma(0.3, size=(LEVELS, LEVELS)) + 1e-9)
    matrix = weights / weights.sum(1, keepdim=True)
    images = torch.full((400, 32, 32, 3), 77, dtype=torch.uint8)
    drawn = noisy(images, alias_table(matrix), CounterRNG("noise", torch.arange(400)))
    counts = torch.bincount(drawn.flatten().long(), minlength=LEVELS)
    expected = matrix[77] * drawn.numel()
    enough = expected > 20
    chi_squared = ((counts - expected) ** 2 / expected)[enough].sum()
    freedom = int(enough.sum()) - 1
    assert abs(chi_squared - freedom) < 5 * (2 * freedom) ** 0.5
