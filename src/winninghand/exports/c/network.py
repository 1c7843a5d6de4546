"""A program as a C function: one call for each of its steps, on places of one buffer."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
from torch import Tensor

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
    Step,
)
from winninghand.exports.c.memory import Memory, planned
from winninghand.exports.c.tables import Array, Tables, literal
from winninghand.exports.c.weights import encoded

_NUMBERS_OF = {"clamp": ("low", "high"), "leaky_relu": ("slope",)}
# The others have the names of their C functions.
_FUNCTIONS = {"tanh": "hyperbolic_tangent"}


class Network:
    """One program in C: `text` is the function `name`, which leaves the logits in the buffer.

    It takes the image and, where the program is of several cards, the number of one of these.
    """

    def __init__(self, program: Program, name: str, tables: Tables) -> None:
        self.program, self.name, self.tables = program, name, tables
        self.memory: Memory = planned(program)
        tables.at_least("MEMORY", self.memory.size)
        self.text = self._text()

    def call(self, card: int) -> str:
        """Return the call that plays a card."""
        return f"{self.name}(rgb, {card})" if self.program.cards > 1 else f"{self.name}(rgb)"

    def _text(self) -> str:
        card = ", int card" if self.program.cards > 1 else ""
        plane = prod(self.program.input_shape[1:])
        lines = [f"read_image(rgb, {self._at(0)}, {plane});"]
        for step in self.program.steps:
            lines += self._calls(step)
            if not isinstance(step, ChannelNorm | Pool | Concatenate | Channels) and step.activation:
                lines.append(self._activation(step.activation, step.output))
        body = "\n    ".join([*lines, f"return {self._at(self.program.output)};"])
        return f"static float *{self.name}(const unsigned char *rgb{card})\n{{\n    {body}\n}}"

    def _calls(self, step: Step) -> Iterator[str]:
        """Yield the calls that a step comes to, without its activation."""
        channels, height, width = self.program.shapes[step.output]
        size = f"{channels}, {height * width}"
        match step:
            case Convolution():
                yield self._convolution(step)
            case Affine():
                scales, biases = self._rows("scales", step.scales), self._rows("biases", step.biases)
                yield f"scale_channels({scales}, {biases}, {self._along(step)}, {size});"
            case ChannelNorm():
                scales, biases = self._rows("scales", step.scales), self._rows("biases", step.biases)
                rows = f"{scales}, {biases}, {literal(step.epsilon)}"
                yield f"normalise_pixels({rows}, {self._along(step)}, {size});"
            case Pool():
                kind = "pool_maximum" if step.kind == "max" else "pool_average"
                yield f"{kind}(&{self._pool(step)}, {self._along(step)});"
            case Combine():
                whole = self.program.shapes[step.left] == self.program.shapes[step.right]
                names = ("add", "multiply") if whole else ("add_to_channels", "multiply_channels")
                places = ", ".join(map(self._at, (step.left, step.right, step.output)))
                size = str(prod(self.program.shapes[step.output])) if whole else size
                yield f"{names[step.kind == 'multiply']}({places}, {size});"
            case Pointwise():
                if self.memory.places[step.source] != self.memory.places[step.output]:
                    yield f"copy({self._along(step)}, {channels * height * width});"
            case Concatenate():
                done = 0
                for number in step.sources:
                    count = prod(self.program.shapes[number])
                    yield f"copy({self._at(number)}, {self._at(step.output, done)}, {count});"
                    done += count
            case Channels():
                indices = self.tables.add("indices", np.asarray(step.indices, np.uint16))
                yield f"take_channels({indices}, {self._along(step)}, {size});"

    def _convolution(self, step: Convolution) -> str:
        """Write a convolution's tables; return its call."""
        weights, shapes = encoded(step), self.program.shapes
        source, output, kernel = shapes[step.source], shapes[step.output], _kernel(step, self.program)
        if kernel != tuple(step.weight.shape[2:]):
            # One place that has all numbers of the source as its channels.
            source = (prod(source), 1, 1)
        self.tables.at_least("LARGEST_KERNEL", max(kernel))
        self.tables.at_least("LARGEST_PLANE", prod(output[1:]))
        scales = step.scales.numpy() * weights.scales
        geometry = zip(source[1:], output[1:], kernel, step.stride, step.padding, step.dilation, strict=True)
        layer = self.tables.add_structure(
            "convolution",
            "layer",
            [
                weights.next_place,
                weights.next_value,
                "0" if weights.places is None else self.tables.add("places", weights.places),
                self.tables.add("weights", weights.values),
                self.tables.add("scales", scales),
                self.tables.add("biases", step.biases.numpy()),
                *map(str, (prod(step.weight.shape[1:]), source[0], output[0], step.groups)),
                *map(_braced, geometry),
            ],
        )
        addend = "0" if step.addend is None else self._at(step.addend)
        card = "card" if len(step.scales) > 1 else "0"
        kept = f"{step.name}: {weights.kept:,} of {step.weight.numel():,}" if step.name else ""
        note = f" /* {as_comment(kept)} */" if kept else ""
        return f"convolve(&{layer}, {self._along(step)}, {addend}, {card});{note}"

    def _pool(self, step: Pool) -> str:
        source, output = self.program.shapes[step.source], self.program.shapes[step.output]
        geometry = zip(source[1:], output[1:], step.kernel, step.stride, step.padding, (1, 1), strict=True)
        fields = [str(output[0]), str(int(step.counts_padding)), *map(_braced, geometry)]
        return self.tables.add_structure("pool", "pool", fields)

    def _activation(self, activation: Activation, number: int) -> str:
        numbers = [literal(getattr(activation, name)) for name in _NUMBERS_OF.get(activation.name, ())]
        function = _FUNCTIONS.get(activation.name, activation.name)
        count = str(prod(self.program.shapes[number]))
        return f"{function}({', '.join([self._at(number), count, *numbers])});"

    def _rows(self, name: str, rows: Tensor) -> str:
        """Return the scales or biases of the card that is played."""
        values: Array = rows.detach().numpy()
        return self.tables.add(name, values) + (f" + card * {rows.shape[1]}" if len(rows) > 1 else "")

    def _along(self, step: Convolution | Affine | ChannelNorm | Pool | Pointwise | Channels) -> str:
        return f"{self._at(step.source)}, {self._at(step.output)}"

    def _at(self, number: int, further: int = 0) -> str:
        place = self.memory.places[number] + further
        return f"memory + {place}" if place else "memory"


def _kernel(step: Convolution, program: Program) -> tuple[int, ...]:
    """Return rows and columns of a kernel; one that is the whole of its source, in one place, is (1, 1)."""
    kernel, source = tuple(step.weight.shape[2:]), program.shapes[step.source]
    whole = kernel == source[1:] and program.shapes[step.output][1:] == (1, 1)
    return (1, 1) if whole and step.groups == 1 and step.padding == (0, 0) else kernel


def _braced(numbers: tuple[int, ...]) -> str:
    return f"{{{', '.join(map(str, numbers))}}}"


def as_comment(text: str) -> str:
    """Return a text as it can stand in a comment of C: in ASCII, without an end of the comment."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    plain = plain.encode("ascii", "backslashreplace").decode()
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
