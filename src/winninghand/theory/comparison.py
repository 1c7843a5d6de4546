"""How far the layers of a ticket are from the target's, found from its random weights and masks alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.engine.program import Activation, Convolution, Step
from winninghand.theory.copies import repeated
from winninghand.theory.layers import UNIT, Layer
from winninghand.theory.network import MaskedLayer, MaskedNetwork, masked_layer
from winninghand.theory.norms import operator_norm
from winninghand.theory.propagation import Discrepancy, discrepancy
from winninghand.theory.widths import used_inputs

# Weights of the random network that are looked at together.
_AT_ONCE = 2**22
# More than activations and sums may have taken from a constant by rounding.
_CONSTANT_OFF = 2.0**-38


@dataclass(frozen=True)
class LayerReport:
    """What became of one layer: the weights of its random network, and how near the target's were met."""

    name: str
    samples: int
    """The fewest that any weight got; 0 for a layer without weights."""
    hidden: int
    """Hidden channels, of all groups together; 0 for a layer that sees copies (depth L + 1)."""
    weights: int
    """Random weights and biases of both layers."""
    kept: int
    targets: int
    """Weights of the target's layer that are not zero, those of the constant among them."""
    largest_error: float
    mean_error: float


def compared(layer: Layer, network: MaskedNetwork, constants: Tensor) -> tuple[Discrepancy, LayerReport]:
    """Return how far the layers of a ticket are from the target's layer, from their weights alone.

    `constants` are those of the layer's source (see `constants_after`).
    """
    steps = {step.output: step for step in network.program.steps}
    step = steps[layer.output]
    if not isinstance(step, Convolution):
        raise InputError(f"the network is no ticket of this target: it has no layer {layer.name}")
    second = masked_layer(network, layer.output)
    constant_rows = second.bias_kept
    _require(
        not bool(second.kept[constant_rows].any())
        and (layer.levels is None or not bool(constant_rows.any())),
        layer,
        "biases of its own",
    )
    wide = repeated(layer, ~constant_rows)
    _check_alike(wide, step)
    hidden = None
    if step.source == layer.source:
        slots, factors = _copies(layer, second, constants)
    else:
        seen = len(constants) == layer.shape[0] and bool(constants.isnan().all())
        _require(seen, layer, "a hidden neuron that sees copies or constants")
        hidden = masked_layer(network, step.source)
        _check_hidden(layer, steps.get(step.source))
        slots, factors = _seen(layer, hidden)
    # Of what hidden neurons give, nothing is rounded.
    constants = constants if hidden is None else torch.full_like(factors, torch.nan)
    off = torch.where(constants.isnan(), 0.0, _CONSTANT_OFF * (1 + factors.abs()))
    sums, lost = _added(wide, second, slots, factors, off)
    wanted = wide.weight if wide.levels is None else wide.levels
    errors, negative = sums[:, :, 0] - wanted, sums[:, :, 1] + wanted
    if not layer.signed or hidden is None:
        negative = torch.zeros_like(negative)
    elif layer.constant:
        # The constant is never negative.
        negative[:, layer.inputs] = 0
    slack = wide.slack + lost.amax(2)
    if wide.gains is not None:
        # Both multiply their levels by the same gains, so that only other levels are errors.
        gains = wide.gains[:, None, None, None]
        errors, negative = errors * gains, negative * gains
        slack = lost.amax(2) * gains.abs() + 4 * UNIT * (errors.abs() + negative.abs())
    away = discrepancy(wide, errors, negative if layer.signed and hidden is not None else None, slack)
    if hidden is None:
        onward = (second.weight.double() * second.kept).abs()
        if wide.gains is not None:
            onward = onward * wide.gains[:, None, None, None].abs() * (1 + 2 * UNIT)
        away = replace(away, onward=onward, onward_norm=_norm_onward(wide, second))
    targets = max(1, int(wide.weight.count_nonzero()))
    parts = [second] if hidden is None else [hidden, second]
    report = LayerReport(
        name=layer.name,
        samples=_fewest(layer, slots, layer.signed and hidden is not None),
        hidden=0 if hidden is None else len(hidden.weight),
        weights=sum(one.numel() for part in parts for one in (part.weight, part.bias)),
        kept=sum(int(one.sum()) for part in parts for one in (part.kept, part.bias_kept)),
        targets=int(layer.weight.count_nonzero()),
        largest_error=float(away.largest.max()),
        mean_error=float(away.largest.sum() / targets),
    )
    return away, report


def _fewest(layer: Layer, slots: Tensor, signed: bool) -> int:
    """Return how many samples the weights of that input have that has the fewest."""
    inputs = layer.weight.shape[1]
    numbers = slots.view(layer.groups, -1)
    counts = torch.zeros(layer.groups, 2 * inputs + 1, dtype=torch.int64)
    counts.scatter_add_(1, numbers, torch.ones_like(numbers))
    used = used_inputs(layer)
    negative = used & signed
    # A constant is never negative.
    negative[:, layer.inputs :] = False
    found = counts[:, :-1].unflatten(1, (inputs, 2))[torch.stack([used, negative], 2)]
    return int(found.min()) if len(found) else 0


def _norm_onward(layer: Layer, second: MaskedLayer) -> float:
    """Return an upper bound of the norm by which a layer's random weights see the copies before it."""
    weight = second.weight.double() * second.kept
    if layer.gains is not None:
        weight = weight * layer.gains[:, None, None, None]
    return operator_norm(layer, weight) * (1 + 8 * UNIT)


def _copies(layer: Layer, second: MaskedLayer, constants: Tensor) -> tuple[Tensor, Tensor]:
    """Return what each channel before a layer is a copy of, and its factor, as `_seen` does for neurons."""
    channels = second.weight.shape[1] * layer.groups
    _require(channels == len(constants) and channels % layer.shape[0] == 0, layer, "another number of copies")
    numbers = torch.arange(channels) // (channels // layer.shape[0]) % layer.inputs
    slots = torch.where(constants.isnan(), 2 * numbers, 2 * layer.inputs)
    if not layer.constant and not bool(constants.isnan().all()):
        used = second.kept.unflatten(0, (layer.groups, -1)).any(1).flatten(0, 1).flatten(1).any(1)
        _require(not bool(used[~constants.isnan()].any()), layer, "a constant that the target has not")
    return slots, constants.nan_to_num(1.0)


def _check_hidden(layer: Layer, before: Step | None) -> None:
    """Make sure that what stands before a layer is a hidden layer of 1 × 1, with ReLU and nothing else."""
    plain = (
        isinstance(before, Convolution)
        and (before.source, before.groups, before.activation)
        == (layer.source, layer.groups, Activation("relu"))
        and before.addend is None
        and before.stride == (1, 1)
        and before.padding == (0, 0)
        and bool((before.scales == 1).all())
        and not bool(before.biases.any())
    )
    _require(plain, layer, "a hidden layer of another form")


def _added(
    layer: Layer, second: MaskedLayer, slots: Tensor, factors: Tensor, off: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the weights that the kept products amount to, and what rounding may have done to each.

    Factors are `off` by that much at most. Both are (out, in / groups, 2, height, width): those for numbers
    above 0, and for those below.
    """
    outputs, neurons, *kernel = second.weight.shape
    inputs = layer.weight.shape[1]
    sums = torch.zeros(outputs, 2 * inputs + 1, *kernel, dtype=torch.float64)
    lost = torch.zeros_like(sums)
    for rows in _chunks(outputs, outputs // layer.groups, neurons * kernel[0] * kernel[1]):
        first = rows.start // (outputs // layer.groups) * neurons
        own = slice(first, first + neurons)
        # Products of two single-precision numbers are exact.
        products = second.weight[rows].double() * second.kept[rows] * factors[own, None, None]
        sums[rows] = sums[rows].index_add(1, slots[own], products)
        sizes = lost[rows].index_add(1, slots[own], products.abs())
        # Multiples of a number of which no sum holds more than 2^53 are added exactly, in any order.
        grain = 2.0 ** (math.frexp(float(sizes.max()))[1] - 52)
        if bool(torch.frac(products / grain).any()):
            lost[rows] = sizes * (neurons + 2) * UNIT
        if bool(off.any()):
            weights = second.weight[rows].double().abs() * second.kept[rows]
            lost[rows] = lost[rows].index_add(1, slots[own], weights * off[own, None, None])
    shape = (inputs, 2)
    return sums[:, :-1].unflatten(1, shape), lost[:, :-1].unflatten(1, shape)


def _seen(layer: Layer, hidden: MaskedLayer) -> tuple[Tensor, Tensor]:
    """Return what each hidden neuron sees, and the size of the weight by which it does.

    That is twice the input, one more for one that sees negative numbers, or the number after the last for
    nothing. A neuron that keeps two weights would be no such thing; nor would one with a negative constant.
    """
    kept = hidden.kept.flatten(1)
    number = kept.sum(1) + hidden.bias_kept
    inputs = layer.weight.shape[1]
    _require(int(number.max()) <= 1, layer, "a hidden neuron that keeps several weights")
    _require(layer.constant or not bool(hidden.bias_kept.any()), layer, "a constant that the target has not")
    columns = torch.where(hidden.bias_kept, layer.inputs, kept.float().argmax(1))
    values = torch.where(
        hidden.bias_kept,
        hidden.bias,
        hidden.weight.flatten(1).gather(1, kept.float().argmax(1)[:, None])[:, 0],
    ).double()
    _require(not bool((hidden.bias_kept & (values <= 0)).any()), layer, "a constant that is not above 0")
    # Of an input that is never negative a neuron with a negative weight sees nothing.
    nothing = (number == 0) | ((values < 0) & (not layer.signed))
    slots = torch.where(nothing, 2 * inputs, 2 * columns + (values < 0))
    return slots, values.abs()


def _check_alike(layer: Layer, step: Convolution) -> None:
    """Make sure that the second layer does what the target's does, but for its weights."""
    same = ("stride", "padding", "dilation", "groups", "addend", "activation")
    alike = all(getattr(layer, name) == getattr(step, name) for name in same)
    _require(alike, layer, "another geometry, addend or activation")
    gains = torch.ones(len(layer.weight)) if layer.gains is None else layer.gains
    offsets = torch.zeros(len(layer.weight)) if layer.offsets is None else layer.offsets
    own = torch.equal(step.scales[0], gains) and torch.equal(step.biases[0], offsets)
    _require(own, layer, "scales or biases that are not the target's")


def _require(holds: bool, layer: Layer, what: str) -> None:
    if not holds:
        raise InputError(f"the network is no ticket of this target: its layer {layer.name} has {what}")


def _chunks(outputs: int, per_group: int, weights: int) -> Iterator[slice]:
    """Yield rows that lie in one group, few enough at once."""
    step = max(1, _AT_ONCE // weights)
    for first in range(0, outputs, per_group):
        for start in range(first, first + per_group, step):
            yield slice(start, min(first + per_group, start + step))
