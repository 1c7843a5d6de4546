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
from winninghand.theory.layers import Layer, Target
from winninghand.theory.network import MaskedLayer, MaskedNetwork
from winninghand.theory.sources import Distribution, draw
from winninghand.theory.widths import Kind, Width, integer_source, used_inputs

# Random numbers of so many weights are drawn at once; each takes up to 30 bytes for a moment.
_AT_ONCE = 2**22

_HIDDEN: dict[Kind, Distribution] = {"float": "uniform", "binary": "signs", "integers": "signs"}


def built(
    target: Target,
    widths: Mapping[int, Width],
    kind: Kind,
    seed: int,
    masks: Mapping[str, Tensor] | None = None,
) -> MaskedNetwork:
    """Draw the random network of a target from a seed, and return it under the best mask, or under `masks`.

    `widths` are by the output of each layer, `masks` by their names in the network's state.
    """
    steps: list[Step] = []
    shapes: list[Shape] = list(target.program.shapes)
    masked: dict[int, MaskedLayer] = {}
    for step in target.steps:
        if not isinstance(step, Layer):
            steps.append(step)
            continue
        width, number = widths[step.output], len(shapes)
        name = f"{kind} layer {step.output}"
        hidden, second = _random(step, width, kind, name, seed)
        if masks is None:
            _choose(step, width, kind, hidden, second)
        else:
            for layer, own in ((hidden, number), (second, step.output)):
                layer.kept.copy_(masks[f"layers.{own}.kept"])
                layer.bias_kept.copy_(masks[f"layers.{own}.bias_kept"])
        shapes.append((len(hidden.weight), *step.shape[1:]))
        masked |= {number: hidden, step.output: second}
        convolution = _convolution(f"{step.name}, hidden", step.source, number, hidden)
        steps.append(replace(convolution, groups=step.groups, activation=Activation("relu")))
        convolution = _convolution(step.name, number, step.output, second)
        if step.gains is not None and step.offsets is not None:
            # A quantized target's own.
            convolution = replace(convolution, scales=step.gains[None], biases=step.offsets[None])
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


def _random(layer: Layer, width: Width, kind: Kind, name: str, seed: int) -> tuple[MaskedLayer, MaskedLayer]:
    """Return the two random layers that stand for a layer, of which nothing is kept yet."""
    outputs, _, *kernel = layer.weight.shape
    neurons, inputs = layer.groups * width.hidden, width.hidden * kernel[0] * kernel[1]
    source = integer_source(layer) if kind == "integers" else _HIDDEN[kind]
    return (
        _unmasked(
            _drawn(_HIDDEN[kind], seed, f"{name}, hidden weights", neurons, layer.inputs, 1.0)[
                :, :, None, None
            ],
            _drawn(_HIDDEN[kind], seed, f"{name}, hidden biases", 1, neurons, width.constant_scale)[0],
        ),
        _unmasked(
            _drawn(source, seed, f"{name}, weights", outputs, inputs, width.scale).view(
                outputs, width.hidden, *kernel
            ),
            _drawn(source, seed, f"{name}, biases", 1, outputs, width.scale)[0],
        ),
    )


def _unmasked(weight: Tensor, bias: Tensor) -> MaskedLayer:
    return MaskedLayer(
        weight, torch.zeros(weight.shape, dtype=torch.bool), bias, torch.zeros(bias.shape, dtype=torch.bool)
    )


def _choose(layer: Layer, width: Width, kind: Kind, hidden: MaskedLayer, second: MaskedLayer) -> None:
    """Choose the masks of the two random layers that stand for a layer."""
    factors, slots = _choose_hidden(layer, width, hidden)
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
