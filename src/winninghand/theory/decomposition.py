"""A program taken apart into the layers that the theorems speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.engine.program import (
    Activation,
    Affine,
    ChannelNorm,
    Combine,
    Convolution,
    Pointwise,
    Program,
    Shape,
    Step,
    sources_of,
)
from winninghand.theory.layers import LIPSCHITZ, UNIT, Layer, LayerStep, Target

# Random numbers are of single precision, and products of two are needed.
_LARGEST = 2.0**60


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
        if isinstance(step, Layer) and float(step.weight.abs().amax()) > _LARGEST:
            raise InputError(
                f"the target's weight {step.name} holds values up to {float(step.weight.abs().amax()):.1g}, "
                f"beyond random numbers in single precision; take one with weights below {_LARGEST:.1g}"
            )


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
