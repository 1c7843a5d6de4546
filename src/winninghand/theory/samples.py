"""How many random samples a weight takes, as a function of how near its sum is to be: laws with constants."""

from __future__ import annotations

import math
from typing import Literal

from winninghand.theory.layers import Layer

# Of a target up to half of the samples' range the nearest of all sums of n uniform samples is 1.2 √n / 2^n
# away, on the average (measured for n from 15 to 40), and a little more where most samples are of one sign.
_MEAN_ERROR = 1.3
_LEAST_SAMPLES = 8
# How many weights of a layer may be expected to have nearly all samples of one sign.
_RARE = 0.1
# A probability below which no draw is expected to fall.
_FAILURE = 1e-6
# Where a bound is so many times the errors, no width that can be had is enough.
ENDLESS = 1e200


def uniform_samples(mean_error: float) -> int:
    """Return how many uniform samples a weight needs, so that the nearest subset sum is as near on average.

    n samples have 2^n subset sums, of which those near the target are about √n / 2^n apart: the error falls
    by half with every sample. This is the law n = O(log(1/ε)) of Lueker 1998 with its constant.
    """
    samples = _LEAST_SAMPLES
    while typical_error(samples) > mean_error:
        samples += 1
    return samples


def both_signs(sums: int, of_each: int = 4) -> int:
    """Return how many samples so many sums need each, so that hardly any has fewer of one sign.

    A weight of few samples of its own sign has few sums near it, however many the others are.
    """
    count = of_each
    while sums * sum(math.comb(count, few) for few in range(of_each)) > _RARE * 2**count:
        count += 1
    return count


def typical_error(samples: int) -> float:
    """Return how near the nearest subset sum of so many uniform samples is to a target, on average."""
    return _MEAN_ERROR * math.sqrt(samples) * 2.0**-samples


def integer_samples(layer: Layer) -> int:
    """Return how many whole samples give a weight's level exactly, mostly; those that miss it use more.

    n samples of b bits have 2^n subset sums, within about ±2^b·√n: b + 6 samples have a few dozen sums at
    each level (Kumar & Natale 2025, arXiv:2508.11020, prove how few are enough).
    """
    return 14 if integer_source(layer) == "int8" else 10


def integer_source(layer: Layer) -> Literal["int4", "int8"]:
    """Return the source of a layer of levels."""
    return "int4" if layer.levels is None or float(layer.levels.abs().max()) < 8 else "int8"


def sign_samples(mean_error: float, weights: int) -> int:
    """Return how many signs a weight needs for this mean error, in a layer of so many weights.

    Sums of signs of size α are α apart, and on the average α/4 away. A weight of ½ takes 1/(2α) signs of its
    own kind; by Hoeffding's inequality n signs have so many of each, for all weights together, but for a
    probability of 10⁻⁶. This is linear in 1/ε.
    """
    most = max(1, math.ceil(0.125 / max(mean_error, 1 / ENDLESS)))
    doubt = _doubt(weights)
    # The least n with n/2 − √(n·doubt) ≥ most.
    return math.ceil((math.sqrt(doubt) + math.sqrt(doubt + 2 * most)) ** 2)


def sign_size(samples: int, weights: int) -> float:
    """Return the smallest size of signs by which so many of them make ½, but for a probability of 10⁻⁶."""
    return 0.5 / max(1.0, math.floor(samples / 2 - math.sqrt(samples * _doubt(weights))))


def _doubt(weights: int) -> float:
    return math.log(2 * max(1, weights) / _FAILURE) / 2
