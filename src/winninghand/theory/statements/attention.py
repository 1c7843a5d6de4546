"""Attention: the product of two projections, from random ones."""

from __future__ import annotations

import numpy as np

from winninghand.theory.sources import draw
from winninghand.theory.statements.convolutions import shared_products
from winninghand.theory.statements.statement import Check, Point, Statement
from winninghand.theory.subset_sums import best_subsets

_COUNTS = range(4, 19, 2)
_INPUTS = 4


def median_bound(samples: int, inputs: int) -> float:
    """Return a lower bound of the median error of a score xᵀMy, over all x and y of norm 1.

    It is at least the largest error of an entry of M. All d² are within ε with a probability of at most
    (2^(n+1)·ε)^(d²) (see `convolutions.largest_success`); that is ½ for this ε.
    """
    return float(0.5 ** (1 / inputs**2) / 2.0 ** (samples + 1))


def width(samples: int, inputs: int) -> int:
    """Return the hidden size of keys and queries: n for each input, O(d·log(1/ε))."""
    return samples * inputs


def check(trials: int, seed: int) -> Check:
    """Measure the error of scores by random queries that keep one weight each, and masked random keys."""
    points = []
    shape = (trials, _INPUTS, _INPUTS)
    for samples in _COUNTS:
        # Hidden number i of a row keeps one weight of the query, which all entries of the row share.
        products = shared_products(samples, _INPUTS, trials * _INPUTS, seed).reshape(-1, samples)
        name = f"entries {samples}"
        wanted = draw("uniform", seed, name, trials, _INPUTS**2).numpy().astype(np.float64) / 2
        errors = best_subsets(products, wanted.ravel()).errors.reshape(shape)
        largest = np.linalg.norm(errors, 2, axis=(1, 2))
        points.append(Point("score, median", samples, float(np.median(largest))))
        points.append(Point("bound, median", samples, median_bound(samples, _INPUTS)))
    return Check("samples n", "error of a score", tuple(points), logarithmic=True)


STATEMENT = Statement(
    title="Attention",
    words="The scores of attention are xᵀQᵀKy, and QᵀK is a sum of products of two random numbers, as a "
    "weight is at depth 2L: so random queries and keys that are wide enough hold any head's.",
    conditions="One head of d inputs, x and y of norm 1; without the softmax and the values.",
    width="a hidden size of n·d for keys, n = O(log(1/ε)); for H heads O(d·log(H·d^(3/2))) (Otsuka)",
    source="Otsuka et al. 2025 (arXiv:2511.04217)",
    checked="The error of scores of 4 inputs is measured, beside a lower bound of its median that is "
    "proved. `wh.theory.embed` refuses attention: no bound of its products over the whole box is built "
    "here.",
    quoted="The theorem for multi-head attention, and for transformers without norms, is quoted from the "
    "abstract.",
    check=check,
)
