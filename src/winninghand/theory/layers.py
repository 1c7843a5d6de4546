"""A network as the theorems see it: layers of weights on inputs and a constant, with 1-Lipschitz steps
between.

What the engine's program keeps apart is brought into the weights here: scales and biases of norms, and
affine steps such as the normalisation of images. A bias, and what an affine step adds, is a weight of one
more input channel, which is 1 everywhere. Beyond the border it counts as 0, as all inputs do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.base.errors import InputError
from winninghand.engine.program import (
    Activation,
    Affine,
    ChannelNorm,
    Channels,
    Combine,
    Concatenate,
    Convolution,
    Pointwise,
    Pool,
    Program,
    Shape,
    Step,
    sources_of,
)

UNIT = 2.0**-53
"""Relative error of one operation in double precision."""

LIPSCHITZ = {"relu": 1.0, "clamp": 1.0, "leaky_relu": 1.0, "tanh": 1.0, "sigmoid": 0.25, "hardsigmoid": 1 / 6}
"""How much an activation raises differences, at most; of `leaky_relu` for slopes from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Layer:
    """activation(convolution of source and constant with `weight` + addend): one layer of the target.

    `weight` is float64 (out, in / groups, kernel height, kernel width), and differs from the target's by
    `slack` at most, of the same shape. With `constant` the last input of each group is 1 everywhere. `signed`
    says that the source can be negative. Of a quantized target, `levels`, whole numbers of the weight's
    shape, times `gains`, float64 (out,), are the weight, and `offsets`, float64 (out,), are added. `shape` is
    the source's, `output_shape` that of the output. A kernel place by which the constant reaches every output
    is `centre`."""

    name: str
    source: int
    output: int
    weight: Tensor
    slack: Tensor
    constant: bool
    signed: bool
    shape: Shape
    output_shape: Shape
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    addend: int | None
    activation: Activation | None
    levels: Tensor | None = None
    gains: Tensor | None = None
    offsets: Tensor | None = None

    @property
    def inputs(self) -> int:
        """Inputs of a group, without the constant."""
        return self.shape[0] // self.groups

    @property
    def fan_in(self) -> int:
        """Numbers that are summed up in one output."""
        return self.weight[0].numel()

    def with_constant(self, values: Tensor, constant: float) -> Tensor:
        """Return values (N, channels, H, W) with the constant channel of each group, if the layer has it."""
        if not self.constant:
            return values
        grouped = values.unflatten(1, (self.groups, self.inputs))
        ones = values.new_full((*grouped.shape[:2], 1, *grouped.shape[3:]), constant)
        return torch.cat([grouped, ones], dim=2).flatten(1, 2)

    def convolved(self, values: Tensor, weight: Tensor) -> Tensor:
        """Return the convolution of values (N, channels with constants, H, W) with a weight of this shape."""
        sides: list[int] = []
        for axis in (1, 0):
            reach = (self.output_shape[1 + axis] - 1) * self.stride[axis]
            reach += self.dilation[axis] * (weight.shape[2 + axis] - 1) + 1
            sides += [self.padding[axis], reach - self.shape[1 + axis] - self.padding[axis]]
        window = functional.pad(values, sides)
        return functional.conv2d(window, weight, None, self.stride, 0, self.dilation, self.groups)


LayerStep = Layer | Affine | Pool | Combine | Pointwise | Concatenate | Channels


@dataclass(frozen=True, eq=False)
class Target:
    """A program as layers and the steps between, in the order in which they are done."""

    program: Program
    steps: tuple[LayerStep, ...]

    @property
    def layers(self) -> Iterator[Layer]:
        """The steps with weights."""
        return (step for step in self.steps if isinstance(step, Layer))


def target_of(program: Program, levels: bool = False) -> Target:
    """Return the layers of a program.

    With `levels` the weights are whole levels, and nothing is brought into them: scales, biases and affine
    steps stay as they are.

    Raises `InputError` for steps that no bound holds for over a whole box of inputs: products of two values,
    as in attention and squeeze-and-excitation, norms by statistics of the image itself, and activations that
    raise differences.
    """
    if program.cards > 1:
        raise InputError("a deck of one body is several targets; embed its cards, one by one: deck.cards")
    readers: dict[int, list[object]] = {}
    for step in program.steps:
        for number in sources_of(step):
            readers.setdefault(number, []).append(step)
    folded: dict[int, Affine] = {}
    nonnegative = {0: True}
    steps: list[LayerStep] = []
    for index, step in enumerate(program.steps):
        _check(step, index)
        if levels and isinstance(step, Convolution | Affine):
            nonnegative[step.output] = _gives_no_negative(step.activation)
            signed = not nonnegative[step.source]
            steps.append(step if isinstance(step, Affine) else _layer_of_levels(step, index, program, signed))
            continue
        if isinstance(step, Affine) and _can_fold(step, readers.get(step.output, []), program, folded):
            folded[step.output] = step
            continue
        if isinstance(step, Convolution | Affine):
            layer = _layer(step, index, program, folded, nonnegative)
            nonnegative[layer.output] = _gives_no_negative(layer.activation)
            steps.append(layer)
            continue
        if isinstance(step, ChannelNorm):
            continue  # refused above
        of_sources = all(nonnegative[number] for number in sources_of(step))
        activation = step.activation if isinstance(step, Combine | Pointwise) else None
        nonnegative[step.output] = _gives_no_negative(activation) or (activation is None and of_sources)
        steps.append(step)
    if not any(isinstance(step, Layer) for step in steps):
        raise InputError("the target has no weights; there is nothing to embed")
    _check_finite(steps)
    return Target(program, tuple(steps))


def _check(step: Step, index: int) -> None:
    activation = getattr(step, "activation", None)
    what = f"step {index + 1}{f' ({step.name})' if isinstance(step, Convolution) and step.name else ''}"
    if isinstance(step, ChannelNorm):
        raise InputError(f"the target's {what} is a layer norm, whose gain has no bound; embed one without")
    if isinstance(step, Combine) and step.kind == "multiply":
        raise InputError(
            f"the target's {what} is a product of two values, as in attention or squeeze-and-excitation; "
            "the constructions here know layers, sums and pools"
        )
    if isinstance(activation, Activation) and (
        activation.name not in LIPSCHITZ or not 0 <= activation.slope <= 1
    ):
        raise InputError(
            f"the target's {what} has the activation {activation.name}, which raises differences; known are "
            f"{', '.join(LIPSCHITZ)}"
        )


def _check_finite(steps: Sequence[LayerStep]) -> None:
    for step in steps:
        if isinstance(step, Layer) and not bool(step.weight.isfinite().all()):
            raise InputError(f"the target's weight {step.name} holds values that are not finite")


def _can_fold(step: Affine, readers: Sequence[object], program: Program, folded: dict[int, Affine]) -> bool:
    """Tell whether an affine step can be a part of the convolutions that read it."""
    return (
        step.activation is None
        and step.source not in folded
        and step.output != program.output
        and bool(readers)
        and all(isinstance(one, Convolution) and one.addend != step.output for one in readers)
    )


def _gives_no_negative(activation: Activation | None) -> bool:
    if activation is None:
        return False
    return activation.name in ("relu", "sigmoid", "hardsigmoid") or (
        activation.name == "clamp" and activation.low >= 0
    )


def _layer(
    step: Convolution | Affine,
    index: int,
    program: Program,
    folded: dict[int, Affine],
    nonnegative: dict[int, bool],
) -> Layer:
    scales, biases = step.scales[0].double(), step.biases[0].double()
    if isinstance(step, Affine):
        channels = program.shapes[step.source][0]
        given = scales.new_ones(channels, 1, 1, 1)
        step = Convolution(
            f"affine step {index + 1}",
            step.source,
            step.output,
            given,
            step.scales,
            step.biases,
            groups=channels,
            activation=step.activation,
        )
    # A product of two single-precision numbers is exact in double precision.
    weight = step.weight.double() * scales[:, None, None, None]
    slack = torch.zeros_like(weight)
    source, shifts, shift_slack = (
        step.source,
        torch.zeros_like(weight[:, :1]),
        torch.zeros_like(weight[:, :1]),
    )
    if source in folded:
        before = folded[source]
        source = before.source
        per_group = (one[0].double().reshape(step.groups, -1) for one in (before.scales, before.biases))
        repeats = len(weight) // step.groups
        gain, shift = (one.repeat_interleave(repeats, 0)[:, :, None, None] for one in per_group)
        shifts = (weight * shift).sum(1, keepdim=True)
        shift_slack = (weight.shape[1] + 4) * UNIT * (weight * shift).abs().sum(1, keepdim=True)
        weight, slack = weight * gain, 4 * UNIT * (weight * gain).abs()
    if bool((biases != 0).any()):
        row, column = _centre(step, program.shapes[source], program.shapes[step.output], index)
        rounded = (shifts[:, 0, row, column] != 0) * 2 * UNIT
        shift_slack[:, 0, row, column] += rounded * (shifts[:, 0, row, column].abs() + biases.abs())
        shifts[:, 0, row, column] += biases
    constant = bool((shifts != 0).any())
    if constant:
        weight, slack = torch.cat([weight, shifts], 1), torch.cat([slack, shift_slack], 1)
    layer = _layer_of(step, index, program, weight, slack, not nonnegative[source])
    return replace(layer, source=source, shape=program.shapes[source], constant=constant)


def _layer_of_levels(step: Convolution, index: int, program: Program, signed: bool) -> Layer:
    if step.levels is None:
        raise InputError(
            f"the target's step {index + 1} ({step.name}) is not of whole levels; quantize the card to int8 "
            "or int4"
        )
    levels = step.levels.values.double()
    gains = step.levels.scales.double() * step.scales[0].double()
    weight = levels * gains[:, None, None, None]
    layer = _layer_of(step, index, program, weight, UNIT * weight.abs(), signed)
    return replace(layer, levels=levels, gains=gains, offsets=step.biases[0].double())


def _layer_of(
    step: Convolution, index: int, program: Program, weight: Tensor, slack: Tensor, signed: bool
) -> Layer:
    """Return the layer of a convolution with these weights, and no constant."""
    return Layer(
        name=step.name or f"step {index + 1}",
        source=step.source,
        output=step.output,
        weight=weight,
        slack=slack,
        constant=False,
        signed=signed,
        shape=program.shapes[step.source],
        output_shape=program.shapes[step.output],
        stride=step.stride,
        padding=step.padding,
        dilation=step.dilation,
        groups=step.groups,
        addend=step.addend,
        activation=step.activation,
    )


def _centre(step: Convolution, shape: Shape, output_shape: Shape, index: int) -> tuple[int, int]:
    """Return a place of the kernel that sees the source, and not its border, from every output."""
    found = []
    for axis in (0, 1):
        last = (output_shape[1 + axis] - 1) * step.stride[axis]
        places = [
            place
            for place in range(step.weight.shape[2 + axis])
            if step.padding[axis] <= place * step.dilation[axis]
            and last + place * step.dilation[axis] - step.padding[axis] < shape[1 + axis]
        ]
        if not places:
            raise InputError(
                f"the target's step {index + 1} ({step.name}) is padded so far that no place of its kernel "
                "always sees the image; its bias has no subset"
            )
        found.append(places[len(places) // 2])
    return found[0], found[1]
