"""Kernels: all places of one at once, from the same hidden channels."""

from __future__ import annotations

import numpy as np

from winninghand.theory.sources import draw
from winninghand.theory.statements.statement import Check, Point, Statement, nearest_errors
from winninghand.theory.subset_sums import Floats

_COUNTS = range(4, 21, 2)
_EPSILON = 0.01
_PLACES = 9


def largest_success(samples: int, epsilon: float, weights: int) -> float:
    """Return an upper bound of the probability that so many weights are all within epsilon.

    The products are v·u with the same v, of ½ to 1, for all weights, and u of each weight's own, uniform
    in [−1, 1]. Given v, a sum of one or more has a density of at most 1, so that it is within epsilon of
    a target with a probability of at most 2ε. The empty one is that near to a target uniform in [−½, ½]
    as often. So one weight succeeds with at most 2^n·2ε, and given v the weights are independent.
    """
    return min(1.0, 2.0 ** (samples + 1) * epsilon) ** weights


def width(samples: int, inputs: int, signed: bool = False) -> int:
    """Return the hidden channels for so many input channels, twice as many where these are signed."""
    return samples * inputs * (2 if signed else 1)


def shared_products(samples: int, weights: int, trials: int, seed: int) -> Floats:
    """Return products, float64 (trials, weights, samples), of which a draw's weights share one factor."""
    name = f"shared {samples}"
    hidden = draw("uniform", seed, name, trials, samples).numpy().astype(np.float64)
    own = draw("uniform", seed, f"own {name}", trials, weights * samples).numpy().astype(np.float64)
    found: Floats = (0.75 + hidden[:, None] / 4) * own.reshape(trials, weights, samples)
    return found


def shared_errors(samples: int, weights: int, trials: int, seed: int) -> Floats:
    """Return how far the best subsets are from targets in [−½, ½], float64 (trials, weights)."""
    numbers = shared_products(samples, weights, trials, seed).reshape(-1, samples)
    targets = draw("uniform", seed, f"kernel of {samples}", trials, weights).numpy().astype(np.float64) / 2
    return nearest_errors(numbers, targets.ravel()).reshape(trials, weights)


def check(trials: int, seed: int) -> Check:
    """Measure how often a weight, and a whole kernel of 3 × 3, is within ε = 0.01."""
    points = []
    for samples in _COUNTS:
        near = shared_errors(samples, _PLACES, trials, seed) <= _EPSILON
        for name, weights, share in (("one weight", 1, near.mean()), ("3 × 3", _PLACES, near.all(1).mean())):
            points.append(Point(name, samples, float(share)))
            points.append(Point(f"bound, {name}", samples, largest_success(samples, _EPSILON, weights)))
    return Check("samples n", "share of draws within ε", tuple(points))


STATEMENT = Statement(
    title="Convolutions",
    words="A random convolution that is wider by a logarithmic factor holds any convolution. A hidden "
    "one of 1 × 1 gives n channels for each input; the places of a kernel share these, and have random "
    "weights of their own.",
    conditions="Inputs that are not negative, as images and what a ReLU gives; for others twice the "
    "channels. That the paper asks for the same is from memory.",
    width="n channels for each input channel, n = O(log(1/ε)) as for one weight",
    source="da Cunha, Natale & Viennot 2022, “Proving the Lottery Ticket Hypothesis for Convolutional "
    "Neural Networks” (ICLR 2022)",
    checked="The upper bound of success is proved in `largest_success`, the share of draws measured; "
    "`wh.theory.embed` builds such convolutions, and the certificate proves them one at a time.",
    quoted="The logarithmic factor for whole networks, with high probability, is quoted from the abstract.",
    check=check,
)
