"""Depth 2L with and without subset sums: what the logarithm is worth."""

from __future__ import annotations

import math

import numpy as np

from winninghand.theory.statements.statement import Check, Point, Statement, goals, nearest_errors, products
from winninghand.theory.statements.subset_sum import least_samples

_EPSILONS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
_SHARE = 0.99


def samples_one_by_one(epsilon: float, probability: float = _SHARE) -> int:
    """Return how many uniform samples have one within epsilon of a target in [−½, ½], with this probability.

    Each is with probability ε: exactly, for the interval lies in [−1, 1].
    """
    return math.ceil(math.log(1 - probability) / math.log(1 - epsilon))


def check(trials: int, seed: int) -> Check:
    """Measure the least number of samples that succeed in 99% of the draws, single ones and subsets."""
    points = []
    targets = goals(trials, seed)
    count = 2
    for epsilon in _EPSILONS:
        while np.mean(nearest_errors(products("uniform", count, trials, seed), targets) <= epsilon) < _SHARE:
            count += 1
        points.append(Point("subset sums", 1 / epsilon, count))
        points.append(Point("subset sums, lower bound", 1 / epsilon, least_samples(epsilon)))
        points.append(Point("one sample, exact", 1 / epsilon, samples_one_by_one(epsilon)))
    return Check("1/ε", "samples for a weight, 99% of draws", tuple(points), logarithmic=True)


STATEMENT = Statement(
    title="Depth 2L: from 1/ε to log(1/ε)",
    words="A random network of twice the depth holds any target of depth L within ε. If each weight takes "
    "one random "
    "product, the width grows with a power of 1/ε; if it takes the sum of a subset, with its logarithm.",
    conditions="Weights of norm at most 1, inputs of norm at most 1, ReLU; here: weights of at most ½ of a "
    "layer's scale, and inputs in [0, 1].",
    width="polynomial in 1/ε (Malach); a factor of "
    "O(log(d·l / min(ε, δ))) on the width (Pensia), which is the best at constant depth",
    source="Malach et al. 2020 (arXiv:2002.00585), Pensia et al. 2020 (arXiv:2006.07990)",
    checked="The number of samples by single samples is exact, that by subset sums is measured; the "
    "construction "
    "of depth 2L is what `wh.theory.embed` builds, and its certificate proves it for one target at a time.",
    quoted="The theorems' forms and conditions are quoted second-hand, and not proved here.",
    check=check,
)
