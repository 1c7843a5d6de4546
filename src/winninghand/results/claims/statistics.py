"""Paired tests over images and seeds: Student's t, an interval with both spreads, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

LEVEL = 0.05
"""The level of all tests; intervals are of one less this."""

SMALLEST = 1e-12
"""No p-value is said to be smaller: that far out no distribution is known so well."""

# From so many degrees of freedom on, quantiles come from an expansion around the normal ones.
_MANY = 200


@dataclass(frozen=True)
class Effect:
    """The mean of paired differences over seeds and images, and how surely it is known.

    `seeds_variance` and `images_variance` are squared standard errors of the mean: as the seeds differ, and
    as the images do. Each of them holds what is left of a single seed's single image, so that together they
    are rather too large. The first is None of a single seed.
    """

    mean: float
    seeds: int
    images: int
    seeds_variance: float | None
    images_variance: float

    @classmethod
    def of(cls, differences: npt.NDArray[np.float64]) -> Effect:
        """Return the effect of differences, float64 (seeds, images); one image has no spread over images."""
        seeds, images = differences.shape
        by_seed, by_image = differences.mean(axis=1), differences.mean(axis=0)
        return cls(
            mean=float(differences.mean()),
            seeds=seeds,
            images=images,
            seeds_variance=float(by_seed.var(ddof=1)) / seeds if seeds > 1 else None,
            images_variance=float(by_image.var(ddof=1)) / images if images > 1 else 0.0,
        )

    def half_width(self, level: float = LEVEL) -> float:
        """Return half the width of the interval of one less `level`.

        The half-widths of the t intervals over seeds and over images are added as the sides of a
        right-angled triangle (Graybill & Wang 1980; Zou & Donner 2008). Of a single seed it is the interval
        over images alone; a single difference has none, and infinite width.
        """
        if self.seeds_variance is None and self.images == 1:
            return math.inf
        squared = 0.0
        if self.seeds_variance is not None:
            squared += t_quantile(level, self.seeds - 1) ** 2 * self.seeds_variance
        if self.images > 1:
            squared += t_quantile(level, self.images - 1) ** 2 * self.images_variance
        return math.sqrt(squared)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the interval of one less `level`."""
        return self.mean - self.half_width(level), self.mean + self.half_width(level)

    def p_value(self, value: float = 0.0) -> float | None:
        """Return the two-sided p-value of the effect being `value`: the level whose interval ends there.

        None of a single seed, which says nothing about the next.
        """
        if self.seeds_variance is None:
            return None
        distance = abs(self.mean - value)
        if distance == 0:
            return 1.0
        if self.half_width(SMALLEST) <= distance:
            return SMALLEST
        exponent = _bisected(lambda x: self.half_width(10**x) > distance, math.log10(SMALLEST), 0.0)
        return float(10**exponent)


def t_tail(t: float, freedom: int) -> float:
    """Return the probability that Student's t lies further from 0 than `t`, on either side.

    Exact for whole degrees of freedom (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4).
    """
    return _tail_at(math.atan2(abs(t), math.sqrt(freedom)), freedom)


def t_quantile(level: float, freedom: int) -> float:
    """Return the t beyond which, on both sides together, lies the probability `level`.

    In closed form for two, three and five seeds (Shaw 2006), which most studies have.
    """
    if freedom == 1:
        return 1 / math.tan(math.pi * level / 2)
    middle = level * (2 - level)  # the square of the probability within is 1 less this
    if freedom == 2:
        return (1 - level) * math.sqrt(2 / middle)
    if freedom == 4:
        root = math.sqrt(middle)
        return 2 * math.sqrt(max(0.0, math.cos(math.acos(root) / 3) / root - 1))
    if freedom >= _MANY:
        z = -NormalDist().inv_cdf(level / 2)
        first = (z**3 + z) / 4
        second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
        return z + first / freedom + second / freedom**2
    angle = _bisected(lambda x: _tail_at(x, freedom) > level, 0.0, math.pi / 2)
    return math.sqrt(freedom) * math.tan(angle)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values after Holm's step-down correction for all of them (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _tail_at(angle: float, freedom: int) -> float:
    """Return `t_tail` where the angle's tangent is t / √freedom."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine, cosine) if odd else (1.0, 1.0)
    if freedom == 1:
        total = 0.0
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return max(0.0, 1 - inside)


def _bisected(is_below: Callable[[float], bool], low: float, high: float) -> float:
    """Return where `is_below`, true at `low` and false at `high`, changes."""
    for _ in range(44):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2
