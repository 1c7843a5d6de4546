"""Subsets of a fixed size: how sparse a ticket can be."""

from __future__ import annotations

import math

import numpy as np

from winninghand.theory.statements.statement import Check, Point, Statement, goals, nearest_errors, products

_SAMPLES = 20


def expected_error(samples: int, size: int) -> float:
    """Return about how near the nearest sum of `size` samples is to 0, as if sums were independent.

    There are C(n, k) of them, of a density of about 1/√(2πk/3) there; the nearest of N is 1/(2·N·density)
    away.
    """
    density = 1 / math.sqrt(2 * math.pi * size / 3)
    return 1 / (2 * math.comb(samples, size) * density)


def check(trials: int, seed: int) -> Check:
    """Measure the median error by the size of the subset, for 20 samples."""
    samples, targets = products("uniform", _SAMPLES, trials, seed), goals(trials, seed)
    points = []
    for size in range(1, _SAMPLES, 2):
        points.append(Point("median", size, float(np.median(nearest_errors(samples, targets, size)))))
        points.append(Point("of independent sums", size, expected_error(_SAMPLES, size)))
    free = float(np.median(nearest_errors(samples, targets)))
    points += [Point("any size, median", size, free) for size in (1, _SAMPLES - 1)]
    return Check("samples kept, of 20", "error", tuple(points), logarithmic=True)


STATEMENT = Statement(
    title="How sparse a ticket can be",
    words="A ticket that may keep more of its weights needs less width: the number of subsets of k of n "
    "samples is "
    "largest for k = n/2, and so is the precision.",
    conditions="Uniform samples in [−1, 1].",
    width="the least n with log₂ C(n, k) of about log₂(√k/ε)",
    source="Natale et al. 2024 (arXiv:2410.14754)",
    checked="Errors by size are measured; the curve beside is a heuristic of independent sums, and no bound.",
    quoted="The theorem on fixed-size random subset sums is quoted.",
    check=check,
)
