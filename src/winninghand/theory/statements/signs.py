"""Binary weights: signs times one number."""

from __future__ import annotations

import numpy as np

from winninghand.theory.samples import sign_samples
from winninghand.theory.statements.statement import Check, Point, Statement, goals, products
from winninghand.theory.statements.subset_sum import least_samples
from winninghand.theory.subset_sums import Floats

_EPSILONS = (0.2, 0.1, 0.05, 0.02, 0.01)
_SHARE = 0.99


def width(epsilon: float, weights: int = 1) -> int:
    """Return signs enough for every weight of a layer to be within epsilon; linear in 1/ε.

    Signs of size 2ε make sums 2ε apart, of which the nearest is within ε.
    """
    return sign_samples(epsilon / 2, weights)


def check(trials: int, seed: int) -> Check:
    """Measure the least number of signs of size 2ε by which 99% of the targets are within epsilon."""
    points = []
    targets = goals(trials, seed)
    for epsilon in _EPSILONS:
        wanted = np.round(np.abs(targets) / (2 * epsilon))
        count = 1
        while np.mean(_of_sign(count, targets, trials, seed) >= wanted) < _SHARE:
            count += 1
        points.append(Point("signs", 1 / epsilon, count))
        points.append(Point("signs, enough by Hoeffding", 1 / epsilon, width(epsilon)))
        points.append(Point("uniform samples, lower bound", 1 / epsilon, least_samples(epsilon)))
    return Check("1/ε", "samples for a weight, 99% of draws", tuple(points), logarithmic=True)


def _of_sign(count: int, targets: Floats, trials: int, seed: int) -> Floats:
    """Return how many of the signs are those of the targets, (trials,)."""
    signs = products("signs", count, trials, seed)
    counts: Floats = np.count_nonzero(signs == np.sign(targets)[:, None], axis=1).astype(np.float64)
    return counts


STATEMENT = Statement(
    title="Binary tickets",
    words="A random network of signs, times one number per layer, holds any target, too. At depth 2L its "
    "width "
    "grows with 1/ε, since sums of n signs take n + 1 values only.",
    conditions="Signs are independent and equally likely.",
    width="n ≥ (√k + √(k + 2m))², m = 1/(4ε), k = log(2·weights/10⁻⁶)/2: linear in 1/ε",
    source="Diffenderfer & Kailkhura 2021 (arXiv:2103.09377); Sreenivasan et al. 2022 (arXiv:2110.08996)",
    checked="The width is proved by Hoeffding's inequality (`winninghand.theory.samples`), the least width "
    "measured.",
    quoted="That depth and width polylogarithmic in 1/ε are enough, by neurons that double (Sreenivasan), "
    "is quoted.",
    check=check,
)
