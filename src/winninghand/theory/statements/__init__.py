"""The results that stand behind compact robust networks: one file each, with a check in numbers."""

from winninghand.theory.statements import (
    attention,
    convolutions,
    depth_l_plus_one,
    fixed_size,
    hyperbolic,
    many_targets,
    quantized,
    random_masks,
    signs,
    single_samples,
    subset_sum,
)
from winninghand.theory.statements.statement import Check, Point, Statement

STATEMENTS: dict[str, Statement] = {
    "subset-sums": subset_sum.STATEMENT,
    "depth-2l": single_samples.STATEMENT,
    "hyperbolic": hyperbolic.STATEMENT,
    "depth-l-plus-1": depth_l_plus_one.STATEMENT,
    "convolutions": convolutions.STATEMENT,
    "attention": attention.STATEMENT,
    "many-targets": many_targets.STATEMENT,
    "signs": signs.STATEMENT,
    "fixed-size": fixed_size.STATEMENT,
    "random-masks": random_masks.STATEMENT,
    "quantized": quantized.STATEMENT,
}
"""By the name of its file in a folder of figures."""

TRIALS = 300
"""Draws by which the page of `winninghand theory` checks each statement."""

__all__ = ["STATEMENTS", "TRIALS", "Check", "Point", "Statement"]
