"""How wide a random network has to be, as a function of its target and of the error that is asked for."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.theory.bounds import Bounds, box
from winninghand.theory.layers import Layer, Target
from winninghand.theory.propagation import Discrepancy, discrepancy, propagated
from winninghand.theory.subset_sums import MOST_SAMPLES

Kind = Literal["float", "binary", "integers"]
KINDS: tuple[str, ...] = get_args(Kind)

# Of a target up to half of the samples' range the nearest of all sums of n uniform samples is 1.2 √n / 2^n
# away, on the average (measured for n from 15 to 40), and a little more where most samples are of one sign.
_MEAN_ERROR = 1.3
# By so much all shares are less than epsilon, for draws that are less lucky.
_MARGIN = 1.5
_LEAST_SAMPLES = 8
# Samples that only those weights use that the first ones do not come near, because most have one sign.
_MORE_SAMPLES = 6
_INTEGER_SAMPLES = 22
# How many weights of a layer may be expected to have nearly all samples of one sign.
_RARE = 0.1
# In mean errors, from where on a weight uses them.
_FAR = 4.0
# A sum of weights that is to be nought in the linear range of the bound.
_UNIT_ERROR = 1e-12
# Where a bound is so many times the errors, no width that can be had is enough.
_ENDLESS = 1e200
# A probability below which no draw is expected to fall.
_FAILURE = 1e-6
# The absolute random weights of which a weight is made, by the scale, beyond the weight's own size.
_KEPT_WEIGHTS = {"float": 3.0, "binary": 0.25, "integers": 0.0}
# Hidden neurons beyond those needed, for the last of which a suitable weight may be drawn late.
_SPARE, _SPARE_OF_GROUPS = 32, 16


@dataclass(frozen=True)
class Width:
    """The random network that stands for one layer of the target.

    `samples` are products of random numbers from which each weight is made; a weight that the `first` ones
    bring within `tolerance`, in units of the scales, uses no others. `hidden` is the number of hidden
    channels of a group, 0 for a layer that sees copies (depth L + 1). Random weights are up to `scale`,
    random biases up to `constant_scale`."""

    samples: int
    first: int
    tolerance: float
    hidden: int
    scale: float
    constant_scale: float


def weight_scales(layer: Layer) -> tuple[float, float]:
    """Return the powers of two of which the weights are at most a half; the second for the constant, over it.

    The theorems take weights of at most ½ and random numbers up to 1; a layer is scaled to that, as its
    activation, or the layer behind it, can be.
    """
    inputs = layer.weight[:, : layer.inputs]
    largest = float(inputs.abs().max()) if inputs.numel() else 0.0
    scale = _above(2 * largest) if largest else 1.0
    if not layer.constant:
        return scale, 1.0
    return scale, _above(2 * float(layer.weight[:, layer.inputs :].abs().max()) / scale)


def _above(number: float) -> float:
    mantissa, exponent = math.frexp(number)
    return 2.0 ** (exponent - 1 if mantissa == 0.5 else exponent)


def mean_errors(
    target: Target,
    epsilon: float,
    norms: Mapping[int, float],
    kind: Kind = "float",
    direct: Collection[int] = (),
) -> dict[int, float]:
    """Return for each layer, by its output, the mean error of its weights that a bound of epsilon allows.

    In units of the layer's scales. It is found by random errors in one layer after the other, of which the
    bound is propagated. A layer of many weights has a larger share of epsilon: with W weights, of which the
    bound is R times the mean error, the work Σ W·2^(n/2) is least for shares that go with W^(2/3)·R^(1/3).

    The layers `direct`, by their outputs, see copies. The random weights that make up a weight there raise
    the errors of copies more than the weight itself would.
    """
    shape = target.program.input_shape
    inputs = box(torch.zeros(1, *shape), torch.ones(1, *shape))
    exact = float(propagated(target, {}, inputs, norms).error.max())
    responses, shares = {}, {}
    raised = {layer.output: _raised(layer, kind) for layer in target.layers if layer.output in direct}
    for layer in target.layers:
        found = _response(target, layer, inputs, norms, raised) - exact
        responses[layer.output] = min(max(found / _UNIT_ERROR, 1e-290), _ENDLESS)
        shares[layer.output] = int(layer.weight.count_nonzero()) ** (2 / 3) * responses[layer.output] ** (
            1 / 3
        )
    total = sum(shares.values()) * _MARGIN
    # A layer without weights makes no errors, whatever is allowed.
    return {
        number: epsilon * shares[number] / total / response if shares[number] else math.inf
        for number, response in responses.items()
    }


def _raised(layer: Layer, kind: Kind) -> Discrepancy:
    """Return about how much the copies' errors are raised by the random weights that a weight is made of."""
    onward = layer.weight.abs()[:, : layer.inputs]
    onward = onward + (onward != 0).double() * _KEPT_WEIGHTS[kind] * weight_scales(layer)[0]
    norm = float(torch.linalg.vector_norm(onward)) * math.sqrt(onward.shape[2] * onward.shape[3])
    return Discrepancy(torch.zeros_like(layer.weight), 0.0, onward, norm)


def _response(
    target: Target,
    layer: Layer,
    inputs: Bounds,
    norms: Mapping[int, float],
    raised: Mapping[int, Discrepancy],
) -> float:
    """Return the bound of the logits for errors in one layer alone, of mean `_UNIT_ERROR` of its scales."""
    errors = _random_errors(layer, f"theory: errors of {layer.output}")
    negative = _random_errors(layer, f"theory: other errors of {layer.output}") if layer.signed else None
    away = discrepancy(layer, errors, negative, torch.zeros_like(layer.slack))
    if layer.output in raised:
        away = replace(raised[layer.output], largest=away.largest, norm=away.norm)
    return float(propagated(target, {**raised, layer.output: away}, inputs, norms).error.max())


def _random_errors(layer: Layer, name: str) -> Tensor:
    shape = layer.weight.shape
    rng = CounterRNG(name, torch.arange(shape[0]))
    sizes = -(1 - rng.uniform(*shape[1:]).double()).log()
    signs = torch.where(rng.uniform(*shape[1:]) < 0.5, -1.0, 1.0)
    scale, constant_scale = weight_scales(layer)
    scales = torch.full(shape[1:2], scale, dtype=torch.float64)
    if layer.constant:
        scales[-1] *= constant_scale
    return sizes * signs * scales[:, None, None] * _UNIT_ERROR * (layer.weight != 0)


def uniform_samples(mean_error: float) -> int:
    """Return how many uniform samples a weight needs, so that the nearest subset sum is as near on average.

    n samples have 2^n subset sums, of which those near the target are about √n / 2^n apart: the error falls
    by half with every sample. This is the law n = O(log(1/ε)) of Lueker 1998 with its constant.
    """
    samples = _LEAST_SAMPLES
    while typical_error(samples) > mean_error:
        samples += 1
    return samples


def both_signs(weights: int) -> int:
    """Return how many samples so many weights need each, so that hardly any has fewer than four of a sign.

    A weight of few samples of its own sign has few sums near it, however many the others are.
    """
    count = 4
    while weights * sum(math.comb(count, few) for few in range(4)) > _RARE * 2**count:
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
    most = max(1, math.ceil(0.125 / max(mean_error, 1 / _ENDLESS)))
    doubt = _doubt(weights)
    # The least n with n/2 − √(n·doubt) ≥ most.
    return math.ceil((math.sqrt(doubt) + math.sqrt(doubt + 2 * most)) ** 2)


def sign_size(samples: int, weights: int) -> float:
    """Return the smallest size of signs by which so many of them make ½, but for a probability of 10⁻⁶."""
    return 0.5 / max(1.0, math.floor(samples / 2 - math.sqrt(samples * _doubt(weights))))


def _doubt(weights: int) -> float:
    return math.log(2 * max(1, weights) / _FAILURE) / 2


def hidden_channels(layer: Layer, samples: int) -> int:
    """Return how many hidden channels each group has: samples for each input that counts, and a few more."""
    used = used_inputs(layer)
    inputs = int(used.sum(1).max())
    if layer.signed:
        # A constant is never negative.
        inputs = int((used[:, : layer.inputs].sum(1) * 2 + used[:, layer.inputs :].sum(1)).max())
    return samples * inputs + (_SPARE if layer.groups == 1 else _SPARE_OF_GROUPS)


def used_inputs(layer: Layer) -> Tensor:
    """Return which inputs of each group have weights other than zero, bool (groups, inputs)."""
    used: Tensor = (layer.weight.unflatten(0, (layer.groups, -1)) != 0).any(1).flatten(2).any(2)
    return used


def width_of(
    layer: Layer, kind: Kind, needed: int, samples: int | None = None, copies: int = 1, direct: bool = False
) -> Width:
    """Return the width of a layer's random network, of `samples`, or as many as are `needed` and a few
    more.

    Its outputs will be there in about so many `copies`; a layer that is `direct` has no hidden one.
    """
    weights = int(layer.weight.count_nonzero()) * copies
    if kind == "integers":
        # Each copy has samples of its own, of which all may have one sign.
        count = _INTEGER_SAMPLES + (_MORE_SAMPLES if copies > 1 else 0)
        count = count if samples is None else samples
        hidden = 0 if direct else hidden_channels(layer, count)
        return Width(count, min(count, needed), 0.5, hidden, 1.0, 1.0)
    scale, constant_scale = weight_scales(layer)
    if kind == "binary":
        count = needed if samples is None else samples
        scale *= sign_size(count, weights)
        hidden = 0 if direct else hidden_channels(layer, count)
        return Width(count, count, math.inf, hidden, scale, constant_scale)
    enough = max(needed + _MORE_SAMPLES, both_signs(weights))
    count = min(enough, MOST_SAMPLES) if samples is None else samples
    first = needed if samples is None else samples
    hidden = 0 if direct else hidden_channels(layer, count)
    return Width(count, first, _FAR * typical_error(first), hidden, scale, constant_scale)
