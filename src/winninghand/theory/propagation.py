"""How far a ticket's outputs can be from its target's: errors of weights, propagated through all layers.

Two bounds go side by side, and the tighter one is taken at every step: one for each number, by intervals and
absolute weights, and one for the Euclidean norm of all numbers together, by the norms of the weights. All is
done in double precision. Sums of numbers that are not negative are off by the factor 1 ± n·u at most, u =
2⁻⁵³, whatever their order, and every bound is raised by that much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.engine.program import (
    Activation,
    Affine,
    Channels,
    Combine,
    Concatenate,
    Pointwise,
    Pool,
    Shape,
)
from winninghand.theory.bounds import Bounds, root, rounded_down, rounded_up
from winninghand.theory.layers import LIPSCHITZ, UNIT, Layer, Target, Unweighted, sources_of_step
from winninghand.theory.norms import operator_norm

# Above what underflow may take from a sum.
_TINY = 1e-290


@dataclass(frozen=True, eq=False)
class Discrepancy:
    """How far the weights of a ticket's layer are from the target's.

    `largest`, float64, of the shape of the layer's weight, bounds each weight's error. `norm` bounds the
    layer of the errors in the Euclidean norm. Where the ticket has values in copies, `largest` is of each
    copy of an output, and `onward`, float64 (channels, channels / groups, height, width), are the absolute
    weights by which the ticket's channels see those before, of the norm `onward_norm`. Without it those are
    the target's, as far away as `largest` says.
    """

    largest: Tensor
    norm: float
    onward: Tensor | None = None
    onward_norm: float = 0.0


def discrepancy(layer: Layer, errors: Tensor, negative_errors: Tensor | None, slack: Tensor) -> Discrepancy:
    """Return the discrepancy of a layer whose weights are `errors` away, up to `slack`.

    Where the source can be negative, `negative_errors` are those by which its negative numbers count.
    """
    largest, both = errors.abs(), errors
    if negative_errors is not None:
        largest = torch.maximum(largest, negative_errors.abs())
        both = torch.cat([errors, negative_errors], dim=1)
    norm = operator_norm(layer, both)
    norm += _windows_bound(layer, slack) if bool(slack.any()) else 0.0
    return Discrepancy((largest + slack) * (1 + 4 * UNIT), norm * (1 + 4 * UNIT))


def _windows_bound(layer: Layer, weight: Tensor) -> float:
    """Return a plain upper bound of an operator's norm, for weights that hardly matter."""
    windows = weight.shape[2] * weight.shape[3]
    return math.sqrt(windows) * float(torch.linalg.vector_norm(weight)) * (1 + (weight.numel() + 8) * UNIT)


@torch.no_grad()
def propagated(
    target: Target, discrepancies: Mapping[int, Discrepancy], inputs: Bounds, norms: Mapping[int, float]
) -> Bounds:
    """Return the bounds of the logits, (N, classes, 1, 1), from those of the inputs.

    `discrepancies` and `norms`, the operators' (see `norms_of`), are by the layer's output; a layer without a
    discrepancy is the target's own.
    """
    values = {0: inputs}
    shapes = target.program.shapes
    last = {number: index for index, step in enumerate(target.steps) for number in sources_of_step(step)}
    for index, step in enumerate(target.steps):
        if isinstance(step, Layer):
            result = _through_layer(step, values, discrepancies.get(step.output), norms[step.output])
        else:
            result = _through_step(step, values, shapes)
        values[step.output] = result.tightened()
        for number in sources_of_step(step):
            if last[number] <= index and number != target.program.output:
                values.pop(number, None)
    return values[target.program.output]


def norms_of(target: Target) -> dict[int, float]:
    """Return for each layer, by its output, how much its weights raise the Euclidean norm."""
    found = {}
    for layer in target.layers:
        own = operator_norm(layer, layer.weight) + _windows_bound(layer, layer.slack)
        found[layer.output] = own * (1 + 4 * UNIT)
    return found


def _through_layer(
    layer: Layer, values: Mapping[int, Bounds], away: Discrepancy | None, gain: float
) -> Bounds:
    source = values[layer.source]
    rounding = (layer.fan_in + 16) * UNIT
    up = 1 + rounding
    absolute = (layer.weight.abs() + layer.slack) * (1 + 2 * UNIT)
    rows = torch.linalg.vector_norm(absolute.flatten(1), dim=1) * up
    constants = layer.groups * math.prod(layer.shape[1:]) if layer.constant else 0
    norm = root(source.norm.square() + constants)
    magnitude = layer.with_constant(source.magnitude, 1.0)
    low, high = _interval(layer, source, absolute, magnitude)
    limit = (rows[None] * norm[:, None] * up)[:, :, None, None]
    low, high = torch.maximum(low, -limit), torch.minimum(high, limit)
    errors, error_norm = torch.zeros_like(low), gain * source.error_norm
    if away is not None or bool(source.error.any()):
        if away is not None and away.onward is not None:
            windowed, onward = source.error, away.onward
            error_norm = away.onward_norm * source.error_norm
        else:
            windowed, onward = layer.with_constant(source.error, 0.0), absolute
        if away is not None and away.onward is None:
            onward = absolute.repeat_interleave(len(away.largest) // len(absolute), 0) + away.largest
            error_norm = (gain + away.norm) * source.error_norm
        up *= 1 + onward[0].numel() * UNIT
        rows = torch.linalg.vector_norm(onward.flatten(1), dim=1) * up
        errors, by_norm = layer.convolved(windowed, onward), rows * source.error_norm[:, None]
        if away is not None:
            errors = errors + layer.convolved(magnitude, away.largest)
            of_rows = torch.linalg.vector_norm(away.largest.flatten(1), dim=1) * up
            by_norm = by_norm + of_rows * norm[:, None]
            error_norm = error_norm + away.norm * norm
        errors = torch.minimum(errors * up, (by_norm * up)[:, :, None, None]) + _TINY
    bounds = Bounds(low, high, norm * gain * up, errors, error_norm * up)
    if layer.offsets is not None:
        offsets = layer.offsets[None, :, None, None]
        infinite = torch.full_like(norm, math.inf)
        bounds = replace(
            bounds, low=rounded_down(low + offsets), high=rounded_up(high + offsets), norm=infinite
        )
    bounds = bounds.tightened()
    if layer.addend is not None:
        bounds = _sum(bounds, values[layer.addend])
    return _activated(bounds, layer.activation)


def _interval(layer: Layer, source: Bounds, absolute: Tensor, magnitude: Tensor) -> tuple[Tensor, Tensor]:
    """Return between what a layer's sums lie, without its activation, rounding included."""
    rounding = (layer.fan_in + 16) * UNIT
    middle, radius = (source.low + source.high) / 2, (source.high - source.low) / 2
    # Halving is exact; sum and difference are rounded.
    radius = radius * (1 + 4 * UNIT) + 4 * UNIT * source.magnitude
    result = layer.convolved(layer.with_constant(middle, 1.0), layer.weight)
    spread = layer.convolved(layer.with_constant(radius, 0.0) + rounding * magnitude, absolute)
    if bool(layer.slack.any()):
        spread = spread + layer.convolved(magnitude, layer.slack)
    spread = spread * (1 + rounding) + _TINY
    return rounded_down(result - spread), rounded_up(result + spread)


def _through_step(
    step: Unweighted,
    values: Mapping[int, Bounds],
    shapes: tuple[Shape, ...],
) -> Bounds:
    if isinstance(step, Combine):
        return _activated(_sum(values[step.left], values[step.right]), step.activation)
    if isinstance(step, Pointwise):
        return _activated(values[step.source], step.activation)
    if isinstance(step, Concatenate):
        parts = [values[number] for number in step.sources]
        return Bounds(
            torch.cat([one.low for one in parts], 1),
            torch.cat([one.high for one in parts], 1),
            root(torch.stack([one.norm.square() for one in parts]).sum(0)),
            torch.cat([one.error for one in parts], 1),
            root(torch.stack([one.error_norm.square() for one in parts]).sum(0)),
        )
    source = values[step.source]
    if isinstance(step, Affine):
        scales, biases = (one[0].double()[None, :, None, None] for one in (step.scales, step.biases))
        ends = torch.stack([source.low * scales, source.high * scales])
        low, high = ends.amin(0), ends.amax(0)
        low, high = rounded_down(rounded_down(low) + biases), rounded_up(rounded_up(high) + biases)
        # A product and a sum, each rounded.
        lost = 2 * UNIT * (ends.abs().amax(0) + biases.abs())
        norm = torch.full_like(source.norm, math.inf)
        error_norm = rounded_up(source.error_norm * float(scales.abs().max()))
        error = rounded_up(source.error * _copied(scales.abs(), source.error))
        return _activated(Bounds(low - lost, high + lost, norm, error, error_norm), step.activation)
    if isinstance(step, Channels):
        chosen, copies = list(step.indices), source.error.shape[1] // source.low.shape[1]
        bounds = [source.low[:, chosen], source.high[:, chosen]]
        bounds.append(source.error.unflatten(1, (-1, copies))[:, chosen].flatten(1, 2))
        infinite = torch.full_like(source.norm, math.inf)
        return Bounds(bounds[0], bounds[1], infinite, bounds[2], infinite)
    return _pooled(step, source, shapes[step.output])


def _sum(left: Bounds, right: Bounds) -> Bounds:
    norm, error_norm = rounded_up(left.norm + right.norm), rounded_up(left.error_norm + right.error_norm)
    if left.low.shape != right.low.shape:  # one number per channel, added to all of them
        norm, error_norm = torch.full_like(norm, math.inf), torch.full_like(norm, math.inf)
    return Bounds(
        rounded_down(left.low + right.low),
        rounded_up(left.high + right.high),
        norm,
        rounded_up(left.error + right.error),
        error_norm,
    )


def _activated(bounds: Bounds, activation: Activation | None) -> Bounds:
    if activation is None:
        return bounds
    name = activation.name
    factor = LIPSCHITZ[name]
    error = bounds.error * factor
    if name == "relu" or (name == "clamp" and activation.low == 0):
        # Where the target's number is certainly cut off, the ticket's is, but for what reaches above 0.
        high = _copied(bounds.high, bounds.error)
        error = torch.minimum(error, rounded_up(high + bounds.error).clamp(min=0))
    low, high = activation(bounds.low), activation(bounds.high)
    if name in ("tanh", "sigmoid", "hardsigmoid", "leaky_relu"):
        low, high = low - 16 * UNIT * (low.abs() + 1), high + 16 * UNIT * (high.abs() + 1)
        low = low if name in ("tanh", "leaky_relu") else low.clamp(min=0)
    at_zero = float(activation(torch.zeros(())))
    norm = bounds.norm * factor if at_zero == 0 else torch.full_like(bounds.norm, math.inf)
    return Bounds(
        low,
        high,
        rounded_up(norm),
        rounded_up(error) if factor != 1 else error,
        rounded_up(bounds.error_norm * factor),
    )


def _copied(values: Tensor, error: Tensor) -> Tensor:
    """Return values of the target's channels for those of the ticket, whose errors these are."""
    copies = error.shape[1] // values.shape[1]
    return values if copies == 1 else values.repeat_interleave(copies, 1)


def _pooled(step: Pool, source: Bounds, shape: Shape) -> Bounds:
    sides: list[int] = []
    windows = 1
    for axis in (1, 0):
        reach = (shape[1 + axis] - 1) * step.stride[axis] + step.kernel[axis]
        sides += [step.padding[axis], reach - source.low.shape[2 + axis] - step.padding[axis]]
        windows *= min(math.ceil(step.kernel[axis] / step.stride[axis]), shape[1 + axis])
    if step.kind == "max":

        def pool(values: Tensor) -> Tensor:
            padded = functional.pad(values, sides, value=-math.inf)
            return functional.max_pool2d(padded, step.kernel, step.stride)

        spread = math.sqrt(windows) * (1 + 4 * UNIT)
        return Bounds(
            pool(source.low),
            pool(source.high),
            source.norm * spread,
            pool(source.error),
            source.error_norm * spread,
        )
    counts = torch.full((), float(math.prod(step.kernel)), dtype=torch.float64)
    if not step.counts_padding:
        ones = torch.ones_like(source.low[:1, :1])
        counts = functional.avg_pool2d(
            functional.pad(ones, sides), step.kernel, step.stride, divisor_override=1
        )

    def mean(values: Tensor) -> Tensor:
        padded = functional.pad(values, sides)
        return functional.avg_pool2d(padded, step.kernel, step.stride, divisor_override=1) / counts

    off = (math.prod(step.kernel) + 8) * UNIT
    lost = off * mean(source.magnitude) * (1 + off) + _TINY
    spread = math.sqrt(windows / float(counts.min())) * (1 + 8 * UNIT)
    return Bounds(
        mean(source.low) - 2 * lost,
        mean(source.high) + 2 * lost,
        source.norm * spread,
        mean(source.error) * (1 + 2 * off),
        source.error_norm * spread,
    )
