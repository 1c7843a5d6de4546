"""Quantized targets: levels are reached exactly."""

from __future__ import annotations

import math

import numpy as np

from winninghand.theory.statements.statement import Check, Point, Statement, goals, nearest_errors, products

_COUNTS = range(2, 19, 2)


def largest_success(samples: int, bits: int) -> float:
    """Return an upper bound of the probability that a level other than 0 is some subset sum, exactly.

    A sum of one or more whole numbers, each equally likely in a range of 2^b, is one given number with a
    probability of at most 2^−b.
    """
    return min(1.0, 2.0 ** (samples - bits))


def check(trials: int, seed: int) -> Check:
    """Measure how often a random level is a subset sum, for sources of 4 and of 8 bits."""
    points = []
    for bits, source in ((4, "int4"), (8, "int8")):
        most = 2 ** (bits - 1) - 1
        levels = np.round(goals(trials, seed) * 2 * most)
        levels[levels == 0] = 1
        for count in _COUNTS:
            samples = products("int4" if source == "int4" else "int8", count, trials, seed)
            exact = nearest_errors(samples, levels) == 0
            points.append(Point(f"{bits} bits", count, float(np.mean(exact))))
            points.append(Point(f"bound, {bits} bits", count, largest_success(count, bits)))
    return Check("samples n", "share of draws that are exact", tuple(points))


def least_samples(bits: int, probability: float = 0.99) -> int:
    """Return a lower bound of the samples that reach a level with this probability."""
    return math.ceil(bits + math.log2(probability))


STATEMENT = Statement(
    title="Quantized targets, exactly",
    words="Where weights are whole levels, and the source is of whole numbers, too, there is a subset "
    "whose sum is "
    "the level itself: the ticket's error is nought.",
    conditions="Whole samples of b bits, equally likely; levels of b bits.",
    width="n of about b: never fewer than b + log₂ p",
    source="Kumar & Natale 2025 (arXiv:2508.11020)",
    checked='The lower bound is proved in `largest_success`; `wh.theory.embed(card, kind="integers")` '
    "reaches int8 and "
    "int4 cards exactly, and the certificate's bound is nought.",
    quoted="The paper's tight upper bound is quoted.",
    check=check,
)
