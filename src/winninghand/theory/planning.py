"""What a random network will be like, before it is drawn: samples, widths and memory."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

from winninghand.base.errors import InputError
from winninghand.theory.copies import Block, blocks_of
from winninghand.theory.layers import Layer, Target
from winninghand.theory.samples import integer_samples, sign_samples, uniform_samples
from winninghand.theory.subset_sums import MOST_SAMPLES
from winninghand.theory.widths import Kind, Width, mean_errors, rounded_bound, width_of

# What the bound of rounded weights may be, by epsilon; by how much more than in proportion signs are added
# where it is above that, and how often. Widths that are far from enough are not found by this.
_KEPT, _FURTHER, _TRIES, _FAR = 0.99, 0.05, 10, 100


def planned(
    targets: Sequence[Target],
    norms: Sequence[Mapping[int, float]],
    epsilon: float,
    kind: Kind,
    samples: int | None,
    direct: frozenset[int],
) -> dict[int, Width]:
    """Return the width of each layer, by its output, of a random network that holds all of these targets.

    `norms` are the targets' (see `norms_of`). With `samples` each weight is made of so many.
    """
    needed = dict.fromkeys((layer.output for layer in targets[0].layers), 0)
    for target, own in zip(targets, norms, strict=True):
        for number, count in samples_needed(target, own, epsilon, kind, samples, direct).items():
            needed[number] = max(needed[number], count)
    widths = [_widths(target, kind, needed, samples, direct) for target in targets]
    return {number: widest([one[number] for one in widths]) for number in needed}


def samples_needed(
    target: Target,
    norms: Mapping[int, float],
    epsilon: float,
    kind: Kind,
    samples: int | None,
    direct: frozenset[int],
) -> dict[int, int]:
    """Return the samples that each weight of each layer is made of, by the layer's output.

    Raises `InputError` where these are more than can be searched.
    """
    if kind == "integers":
        return {layer.output: integer_samples(layer) for layer in target.layers}
    if samples is not None:
        return {layer.output: samples for layer in target.layers}
    errors = mean_errors(target, epsilon, norms, kind, direct)
    needed = {}
    for layer in target.layers:
        if kind == "binary":
            needed[layer.output] = sign_samples(errors[layer.output], int(layer.weight.count_nonzero()))
        else:
            needed[layer.output] = uniform_samples(errors[layer.output])
    if kind == "binary":
        return _enough_signs(target, norms, epsilon, needed, direct)
    last = max(target.layers, key=lambda layer: needed[layer.output])
    most = needed[last.output]
    if most > MOST_SAMPLES:
        raise InputError(
            f"a bound this small takes {most} samples for each weight of {last.name}, of which the best "
            f"subset is sought among {MOST_SAMPLES} at most; raise epsilon by the factor "
            f"{2.0 ** min(most - MOST_SAMPLES, 1000):.3g}, or take a target of fewer layers or smaller "
            "weights"
        )
    return needed


def _enough_signs(
    target: Target,
    norms: Mapping[int, float],
    epsilon: float,
    needed: dict[int, int],
    direct: frozenset[int],
) -> dict[int, int]:
    """Return as many signs as keep the bound: those that errors of few weights need on average may be few."""
    for _ in range(_TRIES):
        over = rounded_bound(target, _widths(target, "binary", needed, None, direct), norms, direct) / epsilon
        if not _KEPT < over < _FAR:
            break
        needed = {number: math.ceil(count * (over + _FURTHER)) for number, count in needed.items()}
    return needed


def _widths(
    target: Target, kind: Kind, needed: Mapping[int, int], samples: int | None, direct: frozenset[int]
) -> dict[int, Width]:
    """Return the width of each layer, by its output."""
    widths = {}
    for layer in target.layers:
        copies = MOST_SAMPLES if direct and layer.output != target.program.output else 1
        widths[layer.output] = width_of(
            layer, kind, needed[layer.output], samples, copies, layer.output in direct
        )
    return widths


def widest(widths: Sequence[Width]) -> Width:
    """Return the width that is enough for each of some targets, whose scales are the same."""
    return Width(
        samples=max(one.samples for one in widths),
        first=max(one.first for one in widths),
        tolerance=min(one.tolerance for one in widths),
        hidden=max(one.hidden for one in widths),
        scale=max(one.scale for one in widths),
        constant_scale=max(one.constant_scale for one in widths),
    )


def check_memory(target: Target, widths: Mapping[int, Width], direct: frozenset[int], masks: int = 1) -> None:
    """Raise `InputError` where a random network and its masks take over half of this machine's memory."""
    weights = random_weights(target, widths, direct)
    total = sum(weights.values())
    # A single-precision number and its masks; of layers that see copies the certificates have absolute
    # values, too, in double precision, and square one of them at a time.
    absolute = [weights[number] for number in direct]
    size = (4 + masks) * total + 8 * masks * sum(absolute) + 16 * max(absolute, default=0)
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return
    if size > memory / 2:
        last = max(target.layers, key=lambda layer: weights[layer.output])
        raise InputError(
            f"the random network would have {_figure(total)} weights and take {_figure(size / 2**30, 1)} "
            f"GiB, more than half of this machine's {memory / 2**30:,.1f} GiB; most are for {last.name}, "
            f"with {_figure(widths[last.output].samples)} samples for each weight; raise epsilon, or take a "
            "smaller target"
        )


def _figure(number: float, digits: int = 0) -> str:
    """Return a number with its digits, unless nobody would read them all."""
    return f"{number:,.{digits}f}" if number < 1e12 else f"{number:.1e}"


def random_weights(target: Target, widths: Mapping[int, Width], direct: frozenset[int]) -> dict[int, int]:
    """Return how many random weights and biases stand for each layer, by its output."""
    blocks = blocks_of(target, widths, direct)
    return {layer.output: _weights(layer, widths[layer.output], blocks) for layer in target.layers}


def _weights(layer: Layer, width: Width, blocks: Sequence[Block]) -> int:
    outputs, _, height, columns = layer.weight.shape
    outputs *= blocks[layer.output].size
    inputs = width.hidden or layer.inputs * blocks[layer.source].size
    return layer.groups * width.hidden * (layer.inputs + 1) + outputs * (inputs * height * columns + 1)
