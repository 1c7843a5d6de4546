"""Depth L + 1: a ticket that has every value of its target in copies.

At depth 2L each layer has a hidden one, from whose neurons the samples of a weight come. Where a layer gives
each of its values several times, the random weights by which the next layer sees these copies are samples
already, and no hidden layer is needed. Only the image is there once: its readers alone have a hidden layer.
Constants stand beside the copies, neurons that keep their random bias alone, for the biases of the next layer
(Burkholz 2022, arXiv:2205.02321; convolutions and residual sums: arXiv:2205.02343).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.engine.program import Affine, Channels, Combine, Concatenate, Pool, Shape
from winninghand.theory.layers import Layer, LayerStep, Target, Unweighted, sources_of_step
from winninghand.theory.network import MaskedLayer
from winninghand.theory.widths import Width

Depth = Literal["2L", "L+1"]
DEPTHS: tuple[str, ...] = get_args(Depth)


@dataclass(frozen=True)
class Block:
    """What stands in a ticket for one channel of a value: copies of it, and constants behind them.

    Random biases, of which constants are made, are up to `scale`.
    """

    copies: int = 1
    constants: int = 0
    scale: float = 1.0

    @property
    def size(self) -> int:
        """Channels of the ticket for one of the target."""
        return self.copies + self.constants


def direct_layers(target: Target, depth: Depth) -> frozenset[int]:
    """Return the layers, by their outputs, that see copies, and so have no hidden layer.

    Raises `InputError` for targets of which no ticket of depth L + 1 is known, with the reason.
    """
    if depth == "2L":
        return frozenset()
    families = _families(target)
    image, logits = families[0], families[target.program.output]
    found = frozenset(layer.output for layer in target.layers if families[layer.source] != image)
    for layer in target.layers:
        if families[layer.output] == image:
            raise InputError(
                f"the target adds or joins the image itself to what {layer.name} gives; at depth L+1 "
                "the image is seen by random weights only, and has no copies; take depth 2L"
            )
        if layer.output in found and families[layer.source] == logits:
            raise InputError(
                f"the target's logits are an input of {layer.name}, too; at depth L+1 they would be there in "
                "copies; take depth 2L"
            )
    with_constants = {families[one.source] for one in target.layers if one.output in found and one.constant}
    for step in target.steps:
        if _changes_constants(step, target.program.shapes) and families[step.output] in with_constants:
            raise InputError(
                "an average pool of the target counts what it is padded by, so that constants are not the "
                "same everywhere behind it, of which biases are made at depth L+1; take depth 2L"
            )
    return found


def blocks_of(target: Target, widths: Mapping[int, Width], direct: frozenset[int]) -> list[Block]:
    """Return for each value of the target, by number, what stands for one of its channels."""
    families = _families(target)
    found: dict[int, Block] = {}
    for layer in target.layers:
        if layer.output not in direct:
            continue
        width, before = widths[layer.output], found.get(families[layer.source], Block())
        constants = 0
        if layer.constant:
            # Of random biases about a half are above 0.
            wanted = 2 * width.samples + 4 * math.isqrt(width.samples) + 8
            constants = math.ceil(wanted / layer.inputs)
        found[families[layer.source]] = Block(
            max(before.copies, width.samples),
            max(before.constants, constants),
            max(before.scale, width.constant_scale) if before.constants else width.constant_scale,
        )
    return [found.get(families.get(number, number), Block()) for number in range(len(target.program.shapes))]


def on_copies(step: Unweighted, size: int) -> Unweighted:
    """Return a step without weights as it is done where `size` channels stand for one."""
    if isinstance(step, Channels):
        return replace(step, indices=tuple(one * size + k for one in step.indices for k in range(size)))
    if isinstance(step, Affine):
        scales, biases = (one.repeat_interleave(size, 1) for one in (step.scales, step.biases))
        return replace(step, scales=scales, biases=biases)
    return step


def repeated(layer: Layer, is_copy: Tensor) -> Layer:
    """Return the layer that gives each of its outputs several times.

    `is_copy`, bool (out × size,), is false where a constant stands: there all weights are zero.
    """
    outputs = len(layer.weight)
    size = len(is_copy) // outputs
    if size == 1 and bool(is_copy.all()):
        return layer

    def rows(values: Tensor) -> Tensor:
        return values.repeat_interleave(size, 0) * is_copy.view(-1, *[1] * (values.dim() - 1))

    return replace(
        layer,
        weight=rows(layer.weight),
        slack=rows(layer.slack),
        levels=None if layer.levels is None else rows(layer.levels),
        gains=None if layer.gains is None else layer.gains.repeat_interleave(size),
        offsets=None if layer.offsets is None else layer.offsets.repeat_interleave(size),
        output_shape=(outputs * size, *layer.output_shape[1:]),
    )


def constants_after(
    step: LayerStep,
    known: Mapping[int, Tensor],
    size: int,
    masked: MaskedLayer | None,
    shapes: Sequence[Shape],
) -> Tensor:
    """Return the constants in what a step gives: float64 (channels of the ticket,), NaN where copies are.

    `known` are those of its sources; `masked` is the random layer of a step with weights, `shapes` are the
    target's. Raises `InputError` where a copy and a constant meet, and where a constant does not stay one.
    """
    if isinstance(step, Layer):
        if masked is None:
            raise ValueError("a layer's constants are those of its biases")
        found = torch.where(masked.bias_kept, masked.bias.double(), torch.nan)
        if step.addend is not None:
            found = _sum(found, known[step.addend])
    elif isinstance(step, Combine):
        found = _sum(known[step.left], known[step.right])
    elif isinstance(step, Concatenate):
        return torch.cat([known[number] for number in step.sources])
    else:
        found = known[step.source]
    if isinstance(step, Channels):
        return found.view(-1, size)[list(step.indices)].flatten()
    if isinstance(step, Pool):
        if _changes_constants(step, shapes) and not bool(found.isnan().all()):
            raise InputError("the network is no ticket of this target: a constant does not stay one")
        return found
    if isinstance(step, Affine):
        scales, biases = (one[0].double().repeat_interleave(size) for one in (step.scales, step.biases))
        found = found * scales + biases
    return found if step.activation is None else torch.where(found.isnan(), found, step.activation(found))


def _sum(left: Tensor, right: Tensor) -> Tensor:
    if not torch.equal(left.isnan(), right.isnan()):
        raise InputError("the network is no ticket of this target: it adds constants to copies")
    return left + right


def _changes_constants(step: LayerStep, shapes: Sequence[Shape]) -> bool:
    if not isinstance(step, Pool) or step.kind == "max" or not step.counts_padding:
        return False
    for axis in (0, 1):
        reach = (shapes[step.output][1 + axis] - 1) * step.stride[axis] + step.kernel[axis]
        if step.padding[axis] or reach > shapes[step.source][1 + axis]:
            return True
    return False


def _families(target: Target) -> dict[int, int]:
    """Return for each value the number of those that have the same copies: what no weights lie between."""
    family: dict[int, int] = {0: 0}
    for step in target.steps:
        family.setdefault(step.output, step.output)
        joined = sources_of_step(step)
        if isinstance(step, Layer):
            joined = () if step.addend is None else (step.addend,)
        for number in joined:
            old, new = family[number], family[step.output]
            family = {one: min(old, new) if root in (old, new) else root for one, root in family.items()}
    return family
