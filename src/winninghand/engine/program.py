"""What a network computes, as a flat list of steps: what engine and C file are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional

ActivationName = Literal[
    "relu",
    "clamp",
    "leaky_relu",
    "hardswish",
    "hardsigmoid",
    "silu",
    "sigmoid",
    "tanh",
    "gelu",
    "gelu_tanh",
]
ACTIVATIONS: tuple[str, ...] = get_args(ActivationName)

Shape: TypeAlias = tuple[int, int, int]
"""Channels, height and width of one image's value."""


@dataclass(frozen=True)
class Activation:
    """A function of single numbers.

    `clamp` is to `low` .. `high` (relu6: 0 .. 6); `leaky_relu` multiplies negative numbers by `slope`.
    `gelu` is the exact one, by erf; `gelu_tanh` its approximation by tanh.
    """

    name: ActivationName
    low: float = 0.0
    high: float = 0.0
    slope: float = 0.0

    def __call__(self, values: Tensor) -> Tensor:
        """Return the function of each number."""
        if self.name == "clamp":
            return values.clamp(self.low, self.high)
        if self.name == "leaky_relu":
            return functional.leaky_relu(values, self.slope)
        if self.name.startswith("gelu"):
            return functional.gelu(values, approximate="tanh" if self.name == "gelu_tanh" else "none")
        result: Tensor = getattr(functional, self.name)(values)
        return result


@dataclass(frozen=True, eq=False)
class Levels:
    """Weights that are whole levels times a scale per output channel, bit by bit.

    `values` is int8 (out, in / groups, kernel height, kernel width), `scales` float32 (out,). Where the
    levels are −1, 0 and 1, the weights are `binary`.
    """

    values: Tensor
    scales: Tensor
    binary: bool


@dataclass(frozen=True, eq=False)
class Convolution:
    """activation(scale × sum + bias + addend), where sum is the convolution with the weight.

    Row y, column x of the output sees the source from row `stride` y − `padding`, column likewise, on;
    what lies outside of the source counts as 0, on every side: the size of the output is in
    `Program.shapes`. A padding can be negative. A linear layer is one whose kernel is the whole source.

    `weight` is float32 (out, in / groups, kernel height, kernel width), as the card has it: norms are in
    `scales` and `biases`, float32 (cards, out). `levels` is the weight again, where it is quantized or
    all its numbers of an output channel are of one magnitude.
    """

    name: str
    """Of the weight, in the network's state; empty for one that the network does not hold."""
    source: int
    output: int
    weight: Tensor
    scales: Tensor
    biases: Tensor
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    """Above and to the left."""
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    addend: int | None = None
    """A value of the output's shape."""
    activation: Activation | None = None
    levels: Levels | None = None


@dataclass(frozen=True, eq=False)
class Affine:
    """activation(scale × source + bias), per channel; `scales` and `biases` are float32 (cards, channels)."""

    source: int
    output: int
    scales: Tensor
    biases: Tensor
    activation: Activation | None = None


@dataclass(frozen=True, eq=False)
class ChannelNorm:
    """Layer norm of each pixel over its channels, (x − mean) / √(variance + epsilon), and then an affine map.

    `scales` and `biases` are float32 (cards, channels); the variance is that of the population.
    """

    source: int
    output: int
    scales: Tensor
    biases: Tensor
    epsilon: float


@dataclass(frozen=True, eq=False)
class Pool:
    """Maximum or average of each channel over a window that moves by `stride`.

    Places are counted as in `Convolution`. What lies outside of the source does not count, unless
    `counts_padding`: then the average divides by the whole kernel. The mean over the whole image has the
    source's size as kernel.
    """

    kind: Literal["max", "average"]
    source: int
    output: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    counts_padding: bool = False


@dataclass(frozen=True, eq=False)
class Combine:
    """activation(left + right) or activation(left × right); `right` may be (channels, 1, 1)."""

    kind: Literal["add", "multiply"]
    left: int
    right: int
    output: int
    activation: Activation | None = None


@dataclass(frozen=True, eq=False)
class Pointwise:
    """An activation that no step before could take in."""

    source: int
    output: int
    activation: Activation


@dataclass(frozen=True, eq=False)
class Concatenate:
    """The channels of the first source, of the second, and so on."""

    sources: tuple[int, ...]
    output: int


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of the source with these indices, in this order: a split or a shuffle."""

    source: int
    output: int
    indices: tuple[int, ...]


Step: TypeAlias = Convolution | Affine | ChannelNorm | Pool | Combine | Pointwise | Concatenate | Channels

_SOURCES = ("source", "left", "right", "addend")


def sources_of(step: Step) -> tuple[int, ...]:
    """Return the numbers of the values that a step reads; one may be there twice."""
    if isinstance(step, Concatenate):
        return step.sources
    found = (getattr(step, name) for name in _SOURCES if hasattr(step, name))
    return tuple(number for number in found if number is not None)


@dataclass(frozen=True, eq=False)
class Program:
    """The steps from images to logits, of one size of image, in an order in which they can be done.

    Values are numbered: 0 is the image, float (3, height, width) in [0, 1] (a card's normalisation is the
    first step), and each step makes another one. No step changes a value that is there. All is of one
    image; how many are done at once is the runner's business. `cards` is the number of sets of scales and
    biases, of cards that share one body; a step that all have in common may have one set.
    """

    steps: tuple[Step, ...]
    shapes: tuple[Shape, ...]
    """Of each value, by number."""
    output: int
    """The value of the logits, (classes, 1, 1)."""
    cards: int = 1
    last_uses: dict[int, int] = field(init=False)
    """By value, the index of the last step that reads it; after that its memory is free."""

    def __post_init__(self) -> None:
        uses = {number: index for index, step in enumerate(self.steps) for number in sources_of(step)}
        uses[self.output] = len(self.steps)
        object.__setattr__(self, "last_uses", uses)

    @property
    def input_shape(self) -> Shape:
        """Channels, height and width of an image."""
        return self.shapes[0]

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.shapes[self.output][0]

    @property
    def convolutions(self) -> Iterator[Convolution]:
        """The convolutions and linear layers among the steps."""
        return (step for step in self.steps if isinstance(step, Convolution))

    def macs(self) -> int:
        """Return the multiplications of weights that are not zero, for one image."""
        return sum(
            int(step.weight.count_nonzero()) * self.shapes[step.output][1] * self.shapes[step.output][2]
            for step in self.convolutions
        )


@torch.no_grad()
def interpret(program: Program, images: Tensor, cards: Tensor | None = None) -> Tensor:
    """Return logits (N, classes) of float images (N, 3, H, W) in [0, 1], step by step with torch.

    `cards`, int64 (N,), says whose scales and biases each image has; by default those of card 0. This is
    what a program means: slow, plain, and what faster runners are compared with.
    """
    return next(
        value for number, value in stepwise(program, images, cards) if number == program.output
    ).flatten(1)


@torch.no_grad()
def stepwise(program: Program, images: Tensor, cards: Tensor | None = None) -> Iterator[tuple[int, Tensor]]:
    """Yield each value that a program makes of images, as `interpret` does: its number, and it."""
    values = {0: images}
    numbers = torch.zeros(len(images), dtype=torch.int64) if cards is None else cards
    for index, step in enumerate(program.steps):
        values[step.output] = result_of(step, values, program.shapes, numbers)
        yield step.output, values[step.output]
        for number in sources_of(step):
            if program.last_uses[number] <= index:
                values.pop(number, None)


def result_of(step: Step, values: dict[int, Tensor], shapes: Sequence[Shape], cards: Tensor) -> Tensor:
    """Return the value (N, channels, height, width) that one step makes of those that are there, by number.

    `shapes` are the program's, `cards` says whose scales and biases each image has.
    """
    if isinstance(step, Convolution):
        window = _padded(values[step.source], shapes[step.output], step, step.weight.shape[2:], 0.0)
        result = functional.conv2d(window, step.weight, None, step.stride, 0, step.dilation, step.groups)
        result = result * _of_images(step.scales, cards) + _of_images(step.biases, cards)
        if step.addend is not None:
            result = result + values[step.addend]
    elif isinstance(step, Affine):
        result = values[step.source] * _of_images(step.scales, cards) + _of_images(step.biases, cards)
    elif isinstance(step, ChannelNorm):
        source = values[step.source]
        variance, mean = torch.var_mean(source, dim=1, keepdim=True, correction=0)
        result = (source - mean) / (variance + step.epsilon).sqrt()
        return result * _of_images(step.scales, cards) + _of_images(step.biases, cards)
    elif isinstance(step, Pool):
        return _pooled(step, values[step.source], shapes[step.output])
    elif isinstance(step, Combine):
        left, right = values[step.left], values[step.right]
        result = left + right if step.kind == "add" else left * right
    elif isinstance(step, Pointwise):
        result = values[step.source]
    elif isinstance(step, Concatenate):
        return torch.cat([values[number] for number in step.sources], dim=1)
    else:
        return values[step.source][:, list(step.indices)]
    return result if step.activation is None else step.activation(result)


def _of_images(rows: Tensor, cards: Tensor) -> Tensor:
    """Return rows (cards, channels) as (N, channels, 1, 1), each image with those of its card."""
    return rows[cards if len(rows) > 1 else torch.zeros_like(cards)][:, :, None, None]


def _padded(
    source: Tensor, shape: Shape, step: Convolution | Pool, kernel: Sequence[int], value: float
) -> Tensor:
    """Return the source with just the border that the windows of an output of this shape see."""
    sides: list[int] = []
    dilation = step.dilation if isinstance(step, Convolution) else (1, 1)
    for axis in (1, 0):
        seen = (shape[1 + axis] - 1) * step.stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
        sides += [step.padding[axis], seen - source.shape[2 + axis] - step.padding[axis]]
    return functional.pad(source, sides, value=value)


def _pooled(step: Pool, source: Tensor, shape: Shape) -> Tensor:
    if step.kind == "max":
        return functional.max_pool2d(
            _padded(source, shape, step, step.kernel, -torch.inf), step.kernel, step.stride
        )
    average = functional.avg_pool2d(_padded(source, shape, step, step.kernel, 0.0), step.kernel, step.stride)
    if step.counts_padding:
        return average
    ones = torch.ones_like(source[:1, :1])
    return average / functional.avg_pool2d(
        _padded(ones, shape, step, step.kernel, 0.0), step.kernel, step.stride
    )


def together(programs: Sequence[Program]) -> Program | None:
    """Return one program for cards of one body: the same steps, with the scales and biases of each card.

    None where the programs differ in anything else. The weights must be equal, number by number.
    """
    first = programs[0]
    if any(
        one.shapes != first.shapes or one.output != first.output or len(one.steps) != len(first.steps)
        for one in programs
    ):
        return None
    cards = [one.cards for one in programs]
    steps: list[Step] = []
    for alike in zip(*(one.steps for one in programs), strict=True):
        joined = _joined(alike, cards)
        if joined is None:
            return None
        steps.append(joined)
    return Program(tuple(steps), first.shapes, first.output, sum(cards))


_BY_CARD = ("scales", "biases")


def _joined(steps: Sequence[Step], cards: Sequence[int]) -> Step | None:
    """Return one step for several that differ in scales and biases alone; None where they do in more.

    One row stands for all cards where both are the same for all; else there is a row for each card.
    """
    first = steps[0]
    if any(type(one) is not type(first) for one in steps):
        return None
    for part in fields(first):
        values = [getattr(one, part.name) for one in steps]
        if part.name == "weight":
            if not all(value is values[0] or torch.equal(value, values[0]) for value in values):
                return None
        elif part.name == "levels":
            if any((value is None) != (values[0] is None) for value in values):
                return None
        elif part.name not in _BY_CARD and any(value != values[0] for value in values):
            return None
    rows = {name: [getattr(one, name) for one in steps] for name in _BY_CARD if hasattr(first, name)}
    if all(len(value) == 1 and torch.equal(value, values[0]) for values in rows.values() for value in values):
        return first
    changes: dict[str, Any] = {
        name: torch.cat(
            [value.expand(count, value.shape[1]) for value, count in zip(values, cards, strict=True)]
        )
        for name, values in rows.items()
    }
    return replace(first, **changes)
