"""One random source for many targets: one seed and m masks."""

from __future__ import annotations

import numpy as np

from winninghand.theory.sources import draw
from winninghand.theory.statements.statement import (
    Check,
    Point,
    Statement,
    first_enough,
    nearest_errors,
    products,
)
from winninghand.theory.statements.subset_sum import least_samples

_NUMBERS = (1, 4, 16, 64, 256)
_EPSILON, _SHARE = 0.05, 0.95


def union_bound(samples_for_one: int, targets: int) -> float:
    """Return the samples that targets bounded one after the other ask for, each with 1/m of the failures.

    Where failures fall by half with each sample, that is log₂ m more.
    """
    return samples_for_one + float(np.log2(targets))


def check(trials: int, seed: int) -> Check:
    """Measure the least number of samples by which 95% of draws serve m targets, each within ε = 0.05."""
    points = []
    wanted = draw("uniform", seed, "many targets", trials, max(_NUMBERS)).numpy().astype(np.float64) / 2

    def share(count: int, targets: int) -> float:
        samples = products("uniform", count, trials, seed).repeat(targets, 0)
        errors = nearest_errors(samples, wanted[:, :targets].ravel())
        return float(np.mean((errors <= _EPSILON).reshape(trials, targets).all(1)))

    for_one = 0
    for targets in _NUMBERS:
        least = first_enough(range(4, 41), lambda n, m=targets: share(n, m), _SHARE)  # type: ignore[misc]
        if least is not None:
            for_one = for_one or least
            points.append(Point("one source, measured", targets, least))
            points.append(Point("union of independent targets", targets, union_bound(for_one, targets)))
        points.append(Point("lower bound, one target", targets, least_samples(_EPSILON, _SHARE)))
    return Check("targets m", "samples for a weight", tuple(points))


STATEMENT = Statement(
    title="Many targets in one random network",
    words="One random network holds many targets, each under a mask of its own, and does not have to be "
    "wider for it: once the subset sums are dense, they are so near all numbers at once. So m tickets "
    "are one seed and m masks.",
    conditions="Targets in [−½, ½]; samples uniform in [−1, 1].",
    width="C·d·log(1/δ) for any number of targets, in the place of C·d·log(m/δ) for one after the other",
    source="the lemma of Lueker 1998 for all targets at once, as Pensia et al. 2020 (arXiv:2006.07990) "
    "use it; of tickets for many tasks also Burkholz, Laha, Mukherjee & Gotovos 2022 (arXiv:2111.11146)",
    checked="The least width by the number of targets is measured: it levels off. Files of one seed and "
    "m masks are written for cards of edge-popup and biprop.",
    quoted="The theorem, and universal tickets whose outputs are combined for every task, are quoted "
    "second-hand.",
    check=check,
)
