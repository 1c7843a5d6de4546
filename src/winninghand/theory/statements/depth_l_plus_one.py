"""Depth L + 1 against depth 2L."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor, nn

from winninghand.theory.copies import Depth
from winninghand.theory.embedding import embed
from winninghand.theory.sources import draw
from winninghand.theory.statements.statement import Check, Point, Statement

_COUNTS = range(8, 21, 3)
_INPUTS, _HIDDEN, _OUTPUTS = 4, 4, 2
# No bound is asked for: it is what is drawn.
_ANY = 1e9


def random_weights(depth: Depth, samples: int, sizes: tuple[int, ...]) -> int:
    """Return about how many random weights stand for fully connected layers between layers of these sizes.

    At depth 2L a layer of a × b has n·a hidden neurons of a weights, and b outputs of n·a. At depth L + 1
    only the first does; any other has n·a copies before it, and all layers but the last give n copies.
    """
    count = 0
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        rows = outputs if depth == "2L" or index == len(sizes) - 2 else samples * outputs
        hidden = samples * inputs * inputs if depth == "2L" or index == 0 else 0
        count += hidden + rows * samples * inputs
    return count


def check(trials: int, seed: int) -> Check:
    """Measure the error of a network of 4-4-2 by the number of samples, at both depths, beside the bounds."""
    target = _target(seed)
    inputs = draw("uniform", seed, "inputs of a check", trials, _INPUTS).double().add(1).div(2)
    inputs[::2] = inputs[::2].round()
    expected = deepcopy(target).double()(inputs)
    points = []
    depths: tuple[Depth, ...] = ("2L", "L+1")
    for depth in depths:
        for count in _COUNTS:
            ticket = embed(target, _ANY, seed, samples=count, input_shape=(_INPUTS,), depth=depth)
            found = float((ticket.network(inputs) - expected).abs().max())
            points.append(Point(f"{depth}, largest error found", count, found))
            points.append(Point(f"bound, {depth}", count, ticket.bound))
    return Check("samples n", "error of an output", tuple(points), logarithmic=True)


@torch.no_grad()
def _target(seed: int) -> nn.Module:
    first, last = nn.Linear(_INPUTS, _HIDDEN), nn.Linear(_HIDDEN, _OUTPUTS)
    for index, parameter in enumerate((first.weight, first.bias, last.weight, last.bias)):
        numbers: Tensor = draw("uniform", seed, f"target of a check, {index}", 1, parameter.numel())
        parameter.copy_(numbers.view(parameter.shape) / 2)
    return nn.Sequential(first, nn.ReLU(), last).requires_grad_(False)


STATEMENT = Statement(
    title="Depth L + 1 is enough",
    words="A random network needs one layer more than its target, and not twice as many, if it has each "
    "value in copies: the random weights of a layer are samples already where they see n copies of the "
    "same value. This holds for most activations, as a copy keeps its sign, and for convolutions and "
    "residual sums.",
    conditions="Activations that do not raise differences; biases by neurons that keep their random bias "
    "alone. Here: no sum with the image itself, and no average pool that counts its padding.",
    width="n copies of each value and n² random weights for each inner weight, n = O(log(1/ε)), where "
    "depth 2L takes n; errors of a layer are raised by about n/4 random weights each, which asks for "
    "log₂ n more samples",
    source="Burkholz 2022 (arXiv:2205.02321), of convolutions and residual sums (arXiv:2205.02343); "
    "biases: Fischer & Burkholz 2021",
    checked='`wh.theory.embed(card, depth="L+1")` builds it, and its certificate bounds the error. For '
    "one small target bounds and errors of both depths are measured. The construction is derived anew, "
    "as only the caption of the paper's figure was seen.",
    quoted="That depth L + 1 is enough with high probability, with a logarithmic factor, is quoted from "
    "the abstracts; the theorems' constants were not seen.",
    check=check,
)
