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
from winninghand.theory.layers import LIPSCHITZ, UNIT, Layer, Target
from winninghand.theory.norms import operator_norm

# Above what underflow may take from a sum.
_TINY = 1e-290


@dataclass(frozen=True, eq=False)
class Discrepancy:
    """How far the weights of a ticket's layer are from the target's.

    `largest`, float64, of the shape of the layer's weight, bounds each weight's error. `norm` bounds the
    layer of the errors in the Euclidean norm.
    """

    largest: Tensor
    norm: float


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


@dataclass(frozen=True, eq=False)
class Bounds:
    """What is known of a value, for boxes of inputs (N, …), one box each.

    The target's lies in `low` .. `high`, (N, C, H, W), and its norm is `norm` at most, (N,). The ticket's is
    away from it by `error` at most, (N, C, H, W), and by `error_norm` in the Euclidean norm, (N,).
    """

    low: Tensor
    high: Tensor
    norm: Tensor
    error: Tensor
    error_norm: Tensor

    @property
    def magnitude(self) -> Tensor:
        """The largest absolute value, (N, C, H, W)."""
        return torch.maximum(self.low.abs(), self.high.abs())

    def tightened(self) -> Bounds:
        """Return the same, with norms that are not above those of the numbers' bounds."""
        return replace(
            self,
            norm=torch.minimum(self.norm, _norm(self.magnitude)),
            error_norm=torch.minimum(self.error_norm, _norm(self.error)),
        )


def box(low: Tensor, high: Tensor) -> Bounds:
    """Return the bounds of inputs (N, C, H, W), which ticket and target see alike."""
    low, high = low.double(), high.double()
    none = torch.zeros_like(low)
    return Bounds(low, high, low.new_full((len(low),), math.inf), none, low.new_zeros(len(low))).tightened()


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
    last = {number: index for index, step in enumerate(target.steps) for number in _sources(step)}
    for index, step in enumerate(target.steps):
        if isinstance(step, Layer):
            result = _through_layer(step, values, discrepancies.get(step.output), norms[step.output])
        else:
            result = _through_step(step, values, shapes)
        values[step.output] = result.tightened()
        for number in _sources(step):
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


def _sources(step: Layer | Affine | Pool | Combine | Pointwise | Concatenate | Channels) -> tuple[int, ...]:
    if isinstance(step, Layer):
        return (step.source,) if step.addend is None else (step.source, step.addend)
    if isinstance(step, Combine):
        return step.left, step.right
    return step.sources if isinstance(step, Concatenate) else (step.source,)


def _through_layer(
    layer: Layer, values: Mapping[int, Bounds], away: Discrepancy | None, gain: float
) -> Bounds:
    source = values[layer.source]
    rounding = (layer.fan_in + 16) * UNIT
    up = 1 + rounding
    absolute = (layer.weight.abs() + layer.slack) * (1 + 2 * UNIT)
    rows = torch.linalg.vector_norm(absolute.flatten(1), dim=1) * up
    constants = layer.groups * math.prod(layer.shape[1:]) if layer.constant else 0
    norm = _root(source.norm.square() + constants)
    magnitude = layer.with_constant(source.magnitude, 1.0)
    low, high = _interval(layer, source, absolute, magnitude)
    limit = (rows[None] * norm[:, None] * up)[:, :, None, None]
    low, high = torch.maximum(low, -limit), torch.minimum(high, limit)
    errors, error_norm = torch.zeros_like(low), gain * source.error_norm
    if away is not None or bool(source.error.any()):
        windowed = layer.with_constant(source.error, 0.0)
        errors = layer.convolved(windowed, absolute)
        by_norm = rows[None] * source.error_norm[:, None]
        if away is not None:
            errors = errors + layer.convolved(magnitude + windowed, away.largest)
            seen = norm + source.error_norm
            of_rows = torch.linalg.vector_norm(away.largest.flatten(1), dim=1) * up
            by_norm = by_norm + of_rows * seen[:, None]
            error_norm = error_norm + away.norm * seen
        errors = torch.minimum(errors * up, (by_norm * up)[:, :, None, None]) + _TINY
    bounds = Bounds(low, high, norm * gain * up, errors, error_norm * up)
    if layer.offsets is not None:
        offsets = layer.offsets[None, :, None, None]
        infinite = torch.full_like(norm, math.inf)
        bounds = replace(bounds, low=_down(low + offsets), high=_up(high + offsets), norm=infinite)
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
    return _down(result - spread), _up(result + spread)


def _through_step(
    step: Affine | Pool | Combine | Pointwise | Concatenate | Channels,
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
            _root(torch.stack([one.norm.square() for one in parts]).sum(0)),
            torch.cat([one.error for one in parts], 1),
            _root(torch.stack([one.error_norm.square() for one in parts]).sum(0)),
        )
    source = values[step.source]
    if isinstance(step, Affine):
        scales, biases = (one[0].double()[None, :, None, None] for one in (step.scales, step.biases))
        ends = torch.stack([source.low * scales, source.high * scales])
        low, high = ends.amin(0), ends.amax(0)
        low, high = _down(_down(low) + biases), _up(_up(high) + biases)
        # A product and a sum, each rounded.
        lost = 2 * UNIT * (ends.abs().amax(0) + biases.abs())
        norm = torch.full_like(source.norm, math.inf)
        error_norm = _up(source.error_norm * float(scales.abs().max()))
        error = _up(source.error * scales.abs())
        return _activated(Bounds(low - lost, high + lost, norm, error, error_norm), step.activation)
    if isinstance(step, Channels):
        chosen = list(step.indices)
        bounds = [one[:, chosen] for one in (source.low, source.high, source.error)]
        infinite = torch.full_like(source.norm, math.inf)
        return Bounds(bounds[0], bounds[1], infinite, bounds[2], infinite)
    return _pooled(step, source, shapes[step.output])


def _sum(left: Bounds, right: Bounds) -> Bounds:
    norm, error_norm = _up(left.norm + right.norm), _up(left.error_norm + right.error_norm)
    if left.low.shape != right.low.shape:  # one number per channel, added to all of them
        norm, error_norm = torch.full_like(norm, math.inf), torch.full_like(norm, math.inf)
    return Bounds(
        _down(left.low + right.low),
        _up(left.high + right.high),
        norm,
        _up(left.error + right.error),
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
        error = torch.minimum(error, _up(bounds.high + bounds.error).clamp(min=0))
    low, high = activation(bounds.low), activation(bounds.high)
    if name in ("tanh", "sigmoid", "hardsigmoid", "leaky_relu"):
        low, high = low - 16 * UNIT * (low.abs() + 1), high + 16 * UNIT * (high.abs() + 1)
        low = low if name in ("tanh", "leaky_relu") else low.clamp(min=0)
    at_zero = float(activation(torch.zeros(())))
    norm = bounds.norm * factor if at_zero == 0 else torch.full_like(bounds.norm, math.inf)
    return Bounds(low, high, _up(norm), _up(error) if factor != 1 else error, _up(bounds.error_norm * factor))


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


def _norm(values: Tensor) -> Tensor:
    """Return the Euclidean norm of each row of values that are not negative, rounded up."""
    norm: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return norm * (1 + (values[0].numel() + 8) * UNIT)


def _root(squares: Tensor) -> Tensor:
    return squares.sqrt() * (1 + 16 * UNIT)


def _up(values: Tensor) -> Tensor:
    """Return numbers that are not below those that were rounded to these."""
    return values + 2 * UNIT * values.abs()


def _down(values: Tensor) -> Tensor:
    return values - 2 * UNIT * values.abs()
