"""Subset sums of random numbers: the lemma below all others."""

from __future__ import annotations

import math

import numpy as np

from winninghand.theory.statements.statement import Check, Point, Statement, goals, nearest_errors, products

_COUNTS = range(4, 21, 2)
_EPSILONS = (0.1, 0.01, 0.001)


def largest_success(samples: int, epsilon: float) -> float:
    """Return an upper bound of the probability that some subset sum is within epsilon of a target.

    The target is uniform in [−½, ½]. A sum of one or more uniform numbers from [−1, 1] has a density of at
    most ½, so that it is that near with a probability of at most ε; there are 2^n − 1 such sums. The empty
    one is that near with a probability of at most 2ε.
    """
    return min(1.0, (2.0**samples + 1) * epsilon)


def least_samples(epsilon: float, probability: float = 0.99) -> int:
    """Return a lower bound of the samples that succeed with this probability, from `largest_success`."""
    return max(0, math.ceil(math.log2(max(1.0, probability / epsilon - 1))))


def check(trials: int, seed: int) -> Check:
    """Measure how often the nearest subset sum is within epsilon, for one target in [−½, ½] per draw."""
    points = []
    targets = goals(trials, seed)
    for count in _COUNTS:
        errors = nearest_errors(products("uniform", count, trials, seed), targets)
        for epsilon in _EPSILONS:
            points.append(Point(f"ε = {epsilon}", count, float(np.mean(errors <= epsilon))))
            points.append(Point(f"bound, ε = {epsilon}", count, largest_success(count, epsilon)))
    return Check("samples n", "share of draws within ε", tuple(points))


STATEMENT = Statement(
    title="Subset sums",
    words="Among n random numbers there is a subset whose sum is within ε of a target, once n is about "
    "log₂(1/ε).",
    conditions="n independent numbers, uniform in [−1, 1]; targets in [−½, ½].",
    width="n = O(log(1/ε)); with probability p never fewer than log₂(p/ε − 1)",
    source="Lueker 1998, “Exponentially small bounds on the expected optimum of the partition and subset sum "
    "problems”",
    checked="The lower bound is proved in the docstring of `largest_success`; the share of draws is "
    "measured.",
    quoted="That C·log(2/min(ε, δ)) samples are enough for all targets at once, with probability 1 − δ, is "
    "quoted, as Pensia et al. 2020 (arXiv:2006.07990) use it; nothing is claimed of C.",
    check=check,
)
