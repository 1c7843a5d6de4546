"""Programs whose convolutions multiply bytes: weights of int8, activations of 0 .. 255.

One instruction multiplies four bytes in each lane and adds the products up: four times the work of a
multiply-add, on values a quarter as large. A weight of the stream is then four weights of consecutive input
channels, of which at least one is not zero.

Binary weights need no products. One instruction adds twice as many 16-bit numbers as there are lanes, so each
weight that is not zero is an instruction, whatever its neighbours are: half as many instructions as by bytes
where few of four neighbours are left. Any processor has it. `regions.py` chooses.

Only what is not negative becomes bytes: outputs of ReLU and its kin that only such convolutions, and maxima
of windows, read. The largest number that a value takes on some images becomes 255. Everything else stays
float32: the first layer, since its image is normalised, shortcuts without ReLU, averages and the last layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from itertools import product

import torch
from torch import Tensor

from winninghand.base.device import images_at_once
from winninghand.engine.program import Convolution, Pool, Program, Step, sources_of, stepwise
from winninghand.engine.vectors import DOTS_OF_BYTES


@dataclass(frozen=True, eq=False)
class ByteConvolution(Convolution):
    """A convolution of bytes: `levels` int8 (out, in, height, width), and what one level means.

    `source_scale` is that of the source, `output_scale` that of the output, None where it is float32;
    `addend_scale` that of the addend, likewise.
    """

    whole: Tensor = field(kw_only=True)
    """The weights' levels, int8."""
    units: Tensor = field(kw_only=True)
    """What a level is worth, float32 (out,)."""
    source_scale: float = field(kw_only=True)
    output_scale: float | None = field(kw_only=True)
    addend_scale: float | None = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Quantize:
    """Round a value to bytes: source / scale, 0 .. 255."""

    source: int
    output: int
    scale: float


@dataclass(frozen=True, eq=False)
class ByteProgram(Program):
    """A program some of whose values are bytes."""

    byte_values: frozenset[int] = frozenset()


def byte_values(program: Program) -> frozenset[int]:
    """Return the values of a program that are bytes."""
    return program.byte_values if isinstance(program, ByteProgram) else frozenset()


def quantized(program: Program, images: Tensor) -> Program:
    """Return the program with convolutions of bytes, calibrated on float images (N, 3, H, W) in [0, 1].

    Weights that are levels already stay as they are; others are rounded to 127 levels of each sign, the
    largest of a channel being the last.
    """
    largest = _largest(program, images)
    floats = _not_bytes(program, largest)
    scales = {number: size / 255 for number, size in largest.items() if number not in floats}
    for step in program.steps:
        if isinstance(step, Pool) and step.output in scales:
            scales[step.output] = scales[step.source]
    steps: list[Step] = []
    shapes = list(program.shapes)
    renamed: dict[int, int] = {}
    for step in program.steps:
        whole = isinstance(step, Convolution) and step.source in scales and _runs(step)
        if whole:
            assert isinstance(step, Convolution)
            step = _of_bytes(step, scales, renamed)
            steps.append(step)
            continue
        if isinstance(step, Pool) and step.source in renamed:
            step = replace(step, source=renamed[step.source])
        steps.append(step)
        if step.output in scales and not isinstance(step, Pool):
            # A float step makes it; the bytes are another value.
            shapes.append(program.shapes[step.output])
            renamed[step.output] = len(shapes) - 1
            steps.append(Quantize(step.output, renamed[step.output], scales[step.output]))  # type: ignore[arg-type]
    numbers = frozenset(renamed.get(number, number) for number in scales)
    return ByteProgram(tuple(steps), tuple(shapes), program.output, program.cards, numbers)


def _of_bytes(step: Convolution, scales: dict[int, float], renamed: dict[int, int]) -> ByteConvolution:
    if step.levels is not None:
        whole, units = step.levels.values, step.levels.scales
    else:
        units = step.weight.abs().flatten(1).amax(1).clamp(min=1e-12) / 127
        whole = (step.weight / units[:, None, None, None]).round().to(torch.int8)
    own = {part.name: getattr(step, part.name) for part in fields(Convolution)}
    own["source"] = renamed.get(step.source, step.source)
    addend_scale = None
    if step.addend is not None and step.addend in scales:
        own["addend"] = renamed.get(step.addend, step.addend)
        addend_scale = scales[step.addend]
    return ByteConvolution(
        **own,
        whole=whole,
        units=units.float(),
        source_scale=scales[step.source],
        output_scale=scales.get(step.output),
        addend_scale=addend_scale,
    )


def _largest(program: Program, images: Tensor) -> dict[int, float]:
    """Return the largest number of each value, over images and cards' norms, where it is over 0."""
    found: dict[int, float] = {}
    parts = images.split(images_at_once(64, 64, (images.shape[2], images.shape[3])))
    for card, part in product(range(program.cards), parts):
        for number, value in stepwise(program, part, torch.full((len(part),), card)):
            found[number] = max(float(value.max()), found.get(number, 0.0))
    return {number: most for number, most in found.items() if most > 0}


def _not_bytes(program: Program, largest: dict[int, float]) -> set[int]:
    """Return the values that stay float32."""
    floats = {0, program.output}
    for step in program.steps:
        if not ((isinstance(step, Convolution) and _is_bounded(step)) or _is_maximum(step, program)):
            floats.add(step.output)
        if step.output not in largest:
            floats.add(step.output)
        if not ((isinstance(step, Convolution) and _runs(step)) or _is_maximum(step, program)):
            floats.update(sources_of(step))
    before = 0
    while before < len(floats):
        before = len(floats)
        for step in program.steps:
            # A maximum is of the same kind as its source; so is what a convolution of float32 adds.
            if _is_maximum(step, program) and floats & {step.output, *sources_of(step)}:
                floats.update({step.output, *sources_of(step)})
            if isinstance(step, Convolution) and step.source in floats and step.addend is not None:
                floats.add(step.addend)
    return floats


def is_binary(step: Convolution) -> bool:
    """Tell whether the weights are 0 and ± one number per output channel: their sums are additions."""
    return step.levels is not None and step.levels.binary


def _runs(step: Convolution) -> bool:
    """Tell whether this machine has what a convolution of bytes takes."""
    return step.groups == 1 and (DOTS_OF_BYTES or is_binary(step))


def _is_bounded(step: Convolution) -> bool:
    """Tell whether a convolution's activation leaves nothing negative, and nothing else to do."""
    found = step.activation
    return found is not None and (found.name == "relu" or (found.name == "clamp" and found.low >= 0))


def _is_maximum(step: Step, program: Program) -> bool:
    return isinstance(step, Pool) and step.kind == "max" and program.shapes[step.output][1:] != (1, 1)
