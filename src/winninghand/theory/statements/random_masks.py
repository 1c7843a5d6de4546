"""Sources that are masked at random before a ticket is sought in them."""

from __future__ import annotations

import math

import numpy as np

from winninghand.theory.statements.statement import (
    Check,
    Point,
    Statement,
    first_enough,
    goals,
    nearest_errors,
    products,
)
from winninghand.theory.statements.subset_sum import least_samples

_DENSITIES = (1.0, 0.7, 0.5, 0.35, 0.25)
_EPSILON, _SHARE = 0.05, 0.95


def factor(density: float) -> float:
    """Return the factor on the width that a random mask asks for, 1 / log(1 / sparsity)."""
    return 1 / math.log(1 / (1 - density))


def check(trials: int, seed: int) -> Check:
    """Measure the least number of samples for ε = 0.05 in 95% of the draws, by the density of the source."""
    targets = goals(trials, seed)

    def share(density: float, count: int) -> float:
        found = products("uniform", count, trials, seed, density)
        return float(np.mean(nearest_errors(found, targets) <= _EPSILON))

    points = []
    for density in _DENSITIES:
        count = first_enough(range(4, 64), lambda n, density=density: share(density, n), _SHARE)  # type: ignore[misc]
        if count is not None:
            points.append(Point("measured", density, count))
        points.append(Point("lower bound / density", density, least_samples(_EPSILON, _SHARE) / density))
    return Check("density of the source", "samples for a weight", tuple(points))


STATEMENT = Statement(
    title="Sources that are sparse already",
    words="A source of which a random part is missing holds tickets, too; it has to be wider.",
    conditions="Each weight is there with a probability, independently.",
    width="a factor of 1/log(1/sparsity)",
    source="Gadhikar et al. 2023 (arXiv:2210.02412)",
    checked="The least width is measured, beside the lower bound for as many samples as are there on "
    "average.",
    quoted="The factor is quoted.",
    check=check,
)
