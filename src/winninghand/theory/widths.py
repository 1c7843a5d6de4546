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
from winninghand.theory.choosing import DOUBT
from winninghand.theory.layers import Layer, Target
from winninghand.theory.propagation import Discrepancy, discrepancy, propagated
from winninghand.theory.samples import ENDLESS, both_signs, sign_size, typical_error
from winninghand.theory.subset_sums import MOST_SAMPLES

Kind = Literal["float", "binary", "integers"]
KINDS: tuple[str, ...] = get_args(Kind)

# By so much all shares are less than epsilon, for draws that are less lucky.
_MARGIN = 1.5
# Samples that only those weights use that the first ones do not come near, because most have one sign.
_MORE_SAMPLES = 6
_INTEGER_SAMPLES = 22
# A large level of few samples of its own sign is missed now and then.
_OF_EACH_SIGN = 5
# Weights beside much larger constants, or next to nothing, are not scaled up further: random numbers are of
# single precision.
_LEAST_SHARE, _LEAST_SCALE = 2.0**-60, 2.0**-100
# In mean errors, from where on a weight uses them.
_FAR = 4.0
# A sum of weights that is to be nought in the linear range of the bound.
_UNIT_ERROR = 1e-12
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
    if layer.scales is not None:
        return layer.scales
    inputs, constants = layer.weight.split([layer.inputs, layer.weight.shape[1] - layer.inputs], 1)
    largest, constant = (float(one.abs().max()) if one.numel() else 0.0 for one in (inputs, constants))
    scale = _above(2 * max(largest, constant * _LEAST_SHARE, _LEAST_SCALE)) if largest else 1.0
    return scale, _above(2 * constant / scale) if layer.constant else 1.0


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
        responses[layer.output] = min(max(found / _UNIT_ERROR, 1e-290), ENDLESS)
        shares[layer.output] = int(layer.weight.count_nonzero()) ** (2 / 3) * responses[layer.output] ** (
            1 / 3
        )
    total = sum(shares.values()) * _MARGIN
    # A layer without weights makes no errors, whatever is allowed.
    return {
        number: epsilon * shares[number] / total / response if shares[number] else math.inf
        for number, response in responses.items()
    }


def rounded_bound(
    target: Target, widths: Mapping[int, Width], norms: Mapping[int, float], direct: Collection[int] = ()
) -> float:
    """Return the bound of the logits where all weights are rounded to multiples of their layers' signs.

    What a weight is rounded to is the same for every draw.
    """
    away = {}
    for layer in target.layers:
        sizes = torch.full(layer.weight.shape[1:2], widths[layer.output].scale, dtype=torch.float64)
        sizes[layer.inputs :] *= widths[layer.output].constant_scale
        steps = sizes[:, None, None]
        errors = (layer.weight / steps).round() * steps - layer.weight
        found = discrepancy(layer, errors, errors if layer.signed else None, layer.slack)
        if layer.output in direct:
            found = replace(_raised(layer, "binary"), largest=found.largest, norm=found.norm)
        away[layer.output] = found
    shape = target.program.input_shape
    inputs = box(torch.zeros(1, *shape), torch.ones(1, *shape))
    return float(propagated(target, away, inputs, norms).error.max())


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


def hidden_channels(layer: Layer, samples: int) -> int:
    """Return how many hidden channels each group has, so that each input that counts has its samples.

    Where an input is never negative, a neuron whose weight for it is below 0 sees nothing of it. Of few
    inputs many neurons are therefore of no use, of a single one about a half (see `choosing.usable`).
    """
    counts = {
        (int(own.sum()), int(own[: layer.inputs].sum()) if layer.signed else 0) for own in used_inputs(layer)
    }
    # Each input wants positive weights, and of those that can be negative each wants negative ones, too.
    of_use = max(
        max(_neurons(samples * inputs, inputs), _neurons(samples * (inputs + signed), inputs + (signed > 0)))
        for inputs, signed in counts
    )
    return of_use + (_SPARE if layer.groups == 1 else _SPARE_OF_GROUPS)


def _neurons(wanted: int, inputs: int) -> int:
    """Return the least number of neurons of which so many are `usable`."""
    if not wanted:
        return 0
    useless = 0.5**inputs
    spread = math.sqrt(2 * useless * (1 - useless) * DOUBT)
    least = wanted + DOUBT / 3 * useless
    # The root of a quadratic equation in √neurons.
    found = math.ceil(
        ((spread + math.sqrt(spread**2 + 4 * (1 - useless) * least)) / (2 * (1 - useless))) ** 2
    )
    return max(wanted, found)


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
        # Each copy has samples of its own, of which nearly all may have one sign.
        enough = max(_INTEGER_SAMPLES, both_signs(weights * (2 if layer.signed else 1), _OF_EACH_SIGN))
        count = min(enough, MOST_SAMPLES) if samples is None else samples
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
