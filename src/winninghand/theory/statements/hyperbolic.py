"""Samples of every size, and a greedy sum: the first logarithm."""

from __future__ import annotations

import math

import numpy as np

from winninghand.theory.sources import draw
from winninghand.theory.statements.statement import Check, Point, Statement, goals
from winninghand.theory.subset_sums import Floats

_GOLDEN = (math.sqrt(5) - 1) / 2
_COUNTS = range(10, 101, 10)
_EPSILONS = (0.1, 0.01)


def sizes(epsilon: float) -> int:
    """Return how many sizes, each γ = 0.618… times the one before, lead from 1 to epsilon."""
    return math.ceil(math.log(epsilon) / math.log(_GOLDEN))


def least_success(samples: int, epsilon: float) -> float:
    """Return a lower bound of the probability that a target in [0, 1] is reached within epsilon.

    With a sample s in (γ^(k+1), γ^k] for each k = 1 … K the greedy sum leaves γ^K at most: what is left
    before step k is at most γ^(k−1). If it is above γ^k, s is taken, and at most γ^(k−1) − γ^(k+1) = γ^k
    is left. Hyperbolic samples fall into each of these K ranges with the probability 1/K, and n of them
    miss one of all with a probability of at most K·(1 − 1/K)^n.
    """
    count = sizes(epsilon)
    return max(0.0, 1 - count * (1 - 1 / count) ** samples)


def width(epsilon: float, failure: float = 0.01) -> int:
    """Return samples enough for one weight but for a probability of failure: K·ln(K/δ)."""
    count = sizes(epsilon)
    return math.ceil(count * math.log(count / failure))


def check(trials: int, seed: int) -> Check:
    """Measure how often the greedy sum of hyperbolic samples is within epsilon."""
    points = []
    targets = np.abs(goals(trials, seed))
    for epsilon in _EPSILONS:
        count = sizes(epsilon)
        for samples in _COUNTS:
            uniform = draw("uniform", seed, f"hyperbolic {samples} {epsilon}", trials, samples).numpy()
            places = 1 + count * (uniform.astype(np.float64) + 1) / 2
            left = _greedy(_GOLDEN**places, np.floor(places), targets, count)
            points.append(Point(f"ε = {epsilon}", samples, float(np.mean(left <= epsilon))))
            points.append(Point(f"bound, ε = {epsilon}", samples, least_success(samples, epsilon)))
    return Check("samples n", "share of draws within ε", tuple(points))


def _greedy(samples: Floats, ranges: Floats, targets: Floats, count: int) -> Floats:
    """Return what is left of targets, (trials,), after one sample of each range at most is taken off."""
    left = targets.copy()
    for number in range(1, count + 1):
        inside = ranges == number
        first = np.take_along_axis(samples, inside.argmax(1)[:, None], 1)[:, 0]
        taken: Floats = np.where(inside.any(1) & (first <= left), first, 0.0)
        left -= taken
    return left


STATEMENT = Statement(
    title="A logarithm by samples of every size",
    words="Where random weights have all sizes alike, a few of each size make up any weight, as digits "
    "make up a number: O(log(1/ε)) neurons for a weight, where single ones took a power of 1/ε.",
    conditions="Hyperbolic samples, of a density that goes with 1/w; here positive ones, for a target in "
    "[0, 1].",
    width="K·ln(K/δ) samples, of K = log(1/ε) / log(1.618…) sizes; with batches, O(log(1/ε)) (Orseau)",
    source="Orseau, Hutter & Rivasplata 2020 (arXiv:2006.12156)",
    checked="The lower bound of success is proved in `least_success`, with the golden ratio in the place "
    "of 2; the share of draws is measured.",
    quoted="That neurons sampled in batches make it O(log(1/ε)) for each weight of a whole network is "
    "quoted.",
    check=check,
)
