"""A network as the theorems see it: layers of weights on inputs and a constant, with 1-Lipschitz steps
between.

What the engine's program keeps apart is brought into the weights here: scales and biases of norms, and
affine steps such as the normalisation of images. A bias, and what an affine step adds, is a weight of one
more input channel, which is 1 everywhere. Beyond the border it counts as 0, as all inputs do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    Program,
    Shape,
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
    scales: tuple[float, float] | None = None

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


Unweighted = Affine | Pool | Combine | Pointwise | Concatenate | Channels
LayerStep = Layer | Unweighted


def sources_of_step(step: LayerStep) -> tuple[int, ...]:
    """Return the numbers of the values that a step reads."""
    if isinstance(step, Layer):
        return (step.source,) if step.addend is None else (step.source, step.addend)
    return sources_of(step)


@dataclass(frozen=True, eq=False)
class Target:
    """A program as layers and the steps between, in the order in which they are done."""

    program: Program
    steps: tuple[LayerStep, ...]

    @property
    def layers(self) -> Iterator[Layer]:
        """The steps with weights."""
        return (step for step in self.steps if isinstance(step, Layer))
