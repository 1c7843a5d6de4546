"""The sparsities of iterative pruning, round by round."""

from __future__ import annotations

import math


def round_sparsities(target: float, fraction: float, present: float = 0.0) -> tuple[float, ...]:
    """Return the sparsity after each round that removes `fraction` of the weights that remain.

    Round k reaches 1 − (1 − present)·(1 − fraction)^k; the last round removes less, and ends at
    `target` exactly. 0.95 at 0.2 a round takes 14 rounds (Frankle & Carbin 2019). No round where
    the target is the present sparsity.
    """
    if target <= present:
        return ()
    exact = math.log((1 - target) / (1 - present)) / math.log(1 - fraction)
    # Rounding error must not add a round, and with it a whole training.
    rounds = math.ceil(exact - 1e-6)
    return (*(1 - (1 - present) * (1 - fraction) ** number for number in range(1, rounds)), target)
