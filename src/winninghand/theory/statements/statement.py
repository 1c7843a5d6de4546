"""What a result says, what width it asks for, and numbers that check it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from winninghand.theory.sources import Distribution, draw
from winninghand.theory.subset_sums import Floats, best_subsets


@dataclass(frozen=True)
class Point:
    """One number of a check: `series` is the line that it is on."""

    series: str
    x: float
    y: float


@dataclass(frozen=True)
class Check:
    """Numbers that were measured, beside those that a bound gives, and how they are drawn."""

    x: str
    y: str
    points: tuple[Point, ...]
    logarithmic: bool = False

    def line(self, series: str) -> dict[float, float]:
        """Return y by x of one line."""
        return {point.x: point.y for point in self.points if point.series == series}


@dataclass(frozen=True)
class Statement:
    """A result of the literature, in plain words.

    `width` is the formula in words; the file of the statement has it as a function. `checked` says what is
    proved or measured here, and `quoted` what is not, and from where it is taken. `check(trials, seed)`
    measures.
    """

    title: str
    words: str
    conditions: str
    width: str
    source: str
    checked: str
    quoted: str
    check: Callable[[int, int], Check]


def products(
    distribution: Distribution, samples: int, trials: int, seed: int, density: float = 1.0
) -> Floats:
    """Return random samples, float64 (trials, samples)."""
    numbers = draw(distribution, seed, f"check of {samples} samples", trials, samples, density)
    return numbers.numpy().astype(np.float64)


def goals(trials: int, seed: int) -> Floats:
    """Return targets from [−½, ½), float64 (trials,)."""
    return draw("uniform", seed, "targets of a check", trials, 1).numpy().astype(np.float64)[:, 0] / 2


def nearest_errors(samples: Floats, targets: Floats, size: int | None = None) -> Floats:
    """Return how far the nearest subset sum of each row is from its target."""
    return np.abs(best_subsets(samples, targets, size).errors)


def first_enough(counts: Iterable[int], share: Callable[[int], float], wanted: float) -> int | None:
    """Return the first number of samples of which so large a share of the draws succeeds; None for none."""
    return next((count for count in counts if share(count) >= wanted), None)
