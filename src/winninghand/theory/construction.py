"""A layer of the target as two layers of a random network under a mask.

w·x is Σ mᵢ bᵢ·relu(aᵢ·x): a hidden neuron keeps one of its random weights, a, and sees one input. The
products aᵢbᵢ are random numbers, of which the mask m of the second layer keeps the subset whose sum is
nearest to w. Where x can be negative, neurons with a < 0 see −x, and a second subset has the sum −w (Malach
et al. 2020, arXiv:2002.00585; Pensia et al. 2020, arXiv:2006.07990). For convolutions the hidden layer is one
of 1 × 1 (da Cunha et al. 2022). A constant is a neuron that keeps its random bias alone (Fischer & Burkholz
2021)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from winninghand.engine.program import Activation, Convolution, Program, Shape, Step
from winninghand.theory.choosing import assign, choose
from winninghand.theory.copies import Block, blocks_of, constants_after, on_copies, repeated
from winninghand.theory.layers import Layer, Target
from winninghand.theory.network import MaskedLayer, MaskedNetwork, masked_layer
from winninghand.theory.samples import integer_source
from winninghand.theory.sources import Distribution, draw
from winninghand.theory.widths import Kind, Width, used_inputs

# Random numbers of so many weights are drawn at once; each takes up to 30 bytes for a moment.
_AT_ONCE = 2**22

_HIDDEN: dict[Kind, Distribution] = {"float": "uniform", "binary": "signs", "integers": "signs"}


def built(
    target: Target,
    widths: Mapping[int, Width],
    kind: Kind,
    seed: int,
    direct: frozenset[int] = frozenset(),
    masks: Mapping[str, Tensor] | None = None,
    shared: MaskedNetwork | None = None,
) -> MaskedNetwork:
    """Draw the random network of a target from a seed, and return it under the best mask, or under `masks`.

    `widths` are by the output of each layer, `masks` by their names in the network's state. The layers
    `direct` see copies, and have no hidden one (see `copies`). Instead of being drawn once more the random
    weights may be `shared` with another target's network of this seed and these widths.
    """
    steps: list[Step] = []
    blocks = blocks_of(target, widths, direct)
    shapes: list[Shape] = [
        (channels * block.size, height, columns)
        for (channels, height, columns), block in zip(target.program.shapes, blocks, strict=True)
    ]
    masked: dict[int, MaskedLayer] = {}
    constants = {0: torch.full(shapes[0][:1], torch.nan, dtype=torch.float64)}
    for step in target.steps:
        block = blocks[step.output]
        if not isinstance(step, Layer):
            steps.append(on_copies(step, block.size))
            constants[step.output] = constants_after(step, constants, block.size, None, target.program.shapes)
            continue
        width, source = widths[step.output], step.source
        name = f"{kind} layer {step.output}"
        hidden: MaskedLayer | None = None
        if step.output not in direct:
            source = len(shapes)
            hidden = _again(shared, source) or _hidden(step, width, kind, name, seed)
        second = _again(shared, step.output) or _second(
            step, width, kind, name, seed, blocks[step.source], block
        )
        is_copy = torch.arange(block.size).repeat(len(step.weight)) < block.copies
        second.bias_kept.copy_(~is_copy)
        wide = repeated(step, is_copy)
        if masks is not None:
            for layer, own in ((hidden, source), (second, step.output)):
                if layer is not None:
                    layer.kept.copy_(masks[f"layers.{own}.kept"])
                    layer.bias_kept.copy_(masks[f"layers.{own}.bias_kept"])
        elif hidden is not None:
            _choose(wide, width, kind, second, *_choose_hidden(step, width, hidden))
        else:
            _choose(wide, width, kind, second, *_seen(step, width, blocks[source].size, constants[source]))
        constants[step.output] = constants_after(step, constants, block.size, second, target.program.shapes)
        if hidden is not None:
            shapes.append((len(hidden.weight), *step.shape[1:]))
            masked[source] = hidden
            convolution = _convolution(f"{step.name}, hidden", step.source, source, hidden)
            steps.append(replace(convolution, groups=step.groups, activation=Activation("relu")))
        masked[step.output] = second
        convolution = _convolution(step.name, source, step.output, second)
        if wide.gains is not None and wide.offsets is not None:
            # A quantized target's own.
            convolution = replace(convolution, scales=wide.gains[None], biases=wide.offsets[None])
        steps.append(
            replace(
                convolution,
                stride=step.stride,
                padding=step.padding,
                dilation=step.dilation,
                groups=step.groups,
                addend=step.addend,
                activation=step.activation,
            )
        )
    program = Program(tuple(steps), tuple(shapes), target.program.output)
    return MaskedNetwork(program, masked)


def _convolution(name: str, source: int, output: int, layer: MaskedLayer) -> Convolution:
    channels = len(layer.weight)
    # The weights are the layer's; only their shape is here.
    shape = torch.empty(layer.weight.shape, device="meta")
    return Convolution(name, source, output, shape, torch.ones(1, channels), torch.zeros(1, channels))


def _hidden(layer: Layer, width: Width, kind: Kind, name: str, seed: int) -> MaskedLayer:
    """Return the random hidden layer that stands before a layer, of which nothing is kept yet."""
    neurons = layer.groups * width.hidden
    weight = _drawn(_HIDDEN[kind], seed, f"{name}, hidden weights", neurons, layer.inputs, 1.0)
    bias = _drawn(_HIDDEN[kind], seed, f"{name}, hidden biases", 1, neurons, width.constant_scale)[0]
    return _unmasked(weight[:, :, None, None], bias)


def _second(
    layer: Layer, width: Width, kind: Kind, name: str, seed: int, before: Block, block: Block
) -> MaskedLayer:
    """Return the random layer of a layer's own form, of which nothing is kept yet."""
    outputs, _, *kernel = layer.weight.shape
    outputs *= block.size
    inputs = width.hidden or layer.inputs * before.size
    source = integer_source(layer) if kind == "integers" else _HIDDEN[kind]
    weight = _drawn(source, seed, f"{name}, weights", outputs, inputs * kernel[0] * kernel[1], width.scale)
    scale = block.scale if block.constants else width.scale
    bias = _drawn(source, seed, f"{name}, biases", 1, outputs, scale)[0]
    return _unmasked(weight.view(outputs, inputs, *kernel), bias)


def _again(shared: MaskedNetwork | None, number: int) -> MaskedLayer | None:
    """Return a layer of the same random weights, which are held once, and of which nothing is kept yet."""
    if shared is None:
        return None
    layer = masked_layer(shared, number)
    return _unmasked(layer.weight.data, layer.bias.data)


def _unmasked(weight: Tensor, bias: Tensor) -> MaskedLayer:
    return MaskedLayer(
        weight, torch.zeros(weight.shape, dtype=torch.bool), bias, torch.zeros(bias.shape, dtype=torch.bool)
    )


def _choose(
    layer: Layer, width: Width, kind: Kind, second: MaskedLayer, factors: Tensor, slots: Tensor
) -> None:
    """Choose the mask of a layer's random weights, by what each neuron before it gives (see `choose`)."""
    per_group = len(layer.weight) // layer.groups
    random, kept = second.weight.flatten(2).numpy(), second.kept.flatten(2).numpy()
    wanted = layer.weight if layer.levels is None else layer.levels
    targets = wanted.flatten(2).contiguous().numpy()
    tolerances = torch.full(layer.weight.shape[1:2], width.tolerance * width.scale, dtype=torch.float64)
    if layer.constant:
        tolerances[-1] *= width.constant_scale
    for group in range(layer.groups):
        rows = slice(group * per_group, (group + 1) * per_group)
        choose(
            random[rows],
            factors[group].numpy(),
            slots[group].numpy(),
            targets[rows],
            kept[rows],
            kind == "binary",
            width.first,
            tolerances.numpy(),
        )


def _seen(layer: Layer, width: Width, size: int, constants: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factor of what each channel before a layer gives, and what it is a copy of.

    Both are (groups, channels). Of the constants as many are samples as copies are.
    """
    constants = constants.view(layer.groups, -1)
    is_copy = constants.isnan()
    numbers = torch.arange(constants.shape[1]) // size
    place = is_copy.view(layer.groups, -1, size).cumsum(2).flatten(1) - 1
    slots = torch.where(is_copy & (place < width.samples), 2 * numbers, -1)
    if layer.constant:
        sizes = constants.nan_to_num(0).abs()
        best = sizes.argsort(1, descending=True)[:, : width.samples]
        slots.scatter_(1, best, torch.where(sizes.gather(1, best) > 0, 2 * layer.inputs, -1))
    return torch.where(is_copy, 1.0, constants), slots


def _choose_hidden(layer: Layer, width: Width, hidden: MaskedLayer) -> tuple[Tensor, Tensor]:
    """Choose what each hidden neuron keeps; return the size of that, and what the neuron sees.

    Both are (groups, neurons).
    """
    candidates = weights = hidden.weight.flatten(1)
    if layer.constant:
        candidates = torch.cat([weights, hidden.bias[:, None] / width.constant_scale], 1)
    used = used_inputs(layer).long() * width.samples
    negative = used * int(layer.signed)
    if layer.constant:
        negative[:, layer.inputs] = 0
    owners = torch.full((layer.groups, width.hidden), -1)
    for group in range(layer.groups):
        rows = slice(group * width.hidden, (group + 1) * width.hidden)
        assign(candidates[rows].numpy(), used[group].numpy(), negative[group].numpy(), owners[group].numpy())
    chosen = owners.flatten()
    values = candidates[torch.arange(len(chosen)), chosen.clamp(min=0)].double()
    is_constant = chosen == layer.inputs
    factors = values.abs() * torch.where(is_constant, width.constant_scale, 1.0)
    slots = torch.where(chosen < 0, -1, 2 * chosen + (values < 0))
    seeing = (chosen >= 0) & ~is_constant
    hidden.kept[seeing.nonzero().flatten(), chosen[seeing]] = True
    hidden.bias_kept.copy_(is_constant)
    return factors.view(owners.shape), slots.view(owners.shape)


def _drawn(distribution: Distribution, seed: int, name: str, rows: int, width: int, scale: float) -> Tensor:
    """Return random numbers up to a scale, float32 (rows, width)."""
    # As the single-precision number that the weights will be.
    scale = float(np.float32(scale))
    if rows * width <= _AT_ONCE:
        return draw(distribution, seed, name, rows, width).mul_(scale)
    numbers = torch.empty(rows, width)
    step = max(1, _AT_ONCE // width)
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        numbers[start:stop] = draw(distribution, seed, name, stop - start, width, start=start)
    return numbers.mul_(scale)
