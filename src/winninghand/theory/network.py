"""A ticket's network: random weights, each with a mask, that are never trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from winninghand.engine.program import Convolution, Program, Shape, result_of, sources_of


class MaskedLayer(nn.Module):
    """The random weights of a convolution, float32 (out, in / groups, height, width), and those that are
    kept.

    Biases, float32 (out,), may be random and masked, too.
    """

    weight: nn.Parameter
    kept: Tensor
    bias_kept: Tensor

    def __init__(self, weight: Tensor, kept: Tensor, bias: Tensor, bias_kept: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.register_buffer("kept", kept)
        self.register_buffer("bias_kept", bias_kept)

    def convolved(self, step: Convolution, source: Tensor, addend: Tensor | None, shape: Shape) -> Tensor:
        """Return what a step makes of its source, (N, channels, height, width), of an output of this shape.

        Weights that are not kept count as zero. Hidden layers are wide, so that nothing is done twice.
        """
        weight = (self.weight * self.kept).to(source.dtype)
        bias = (self.bias * self.bias_kept).to(source.dtype)
        padding = [step.padding[0], step.padding[1]]
        sides: list[int] = []
        for axis in (1, 0):
            reach = (shape[1 + axis] - 1) * step.stride[axis] + 1
            reach += step.dilation[axis] * (weight.shape[2 + axis] - 1)
            sides += [padding[axis], reach - source.shape[2 + axis] - padding[axis]]
        # The far side may see less of the border than the near one, where the last window does not reach it.
        if min(padding) < 0 or sides[1] != sides[0] or sides[3] != sides[2]:
            source, padding = functional.pad(source, sides), [0, 0]
        # Scales and biases other than 1 and 0 are a quantized target's own.
        own = bool((step.scales != 1).any()) or bool(step.biases.any())
        result = functional.conv2d(
            source, weight, None if own else bias, step.stride, padding, step.dilation, step.groups
        )
        if own:
            scales, biases = step.scales[0].to(source.dtype), step.biases[0].to(source.dtype) + bias
            result = result * scales[:, None, None] + biases[:, None, None]
        if addend is not None:
            result = result + addend
        if step.activation is None:
            return result
        return result.relu_() if step.activation.name == "relu" else step.activation(result)


class MaskedNetwork(nn.Module):
    """A random network under a mask: maps images (N, 3, H, W) in [0, 1] to logits (N, classes).

    It computes in the number format of the images, float32 or float64. Every weight is a function of the
    ticket's seed. The layers are in `layers`, by the number of the value that each makes.
    """

    def __init__(self, program: Program, layers: Mapping[int, MaskedLayer]) -> None:
        super().__init__()
        self.program = program
        self.layers = nn.ModuleDict({str(number): layer for number, layer in layers.items()})

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        program = self.program
        values = {0: images.reshape(len(images), *program.input_shape)}
        cards = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        for index, step in enumerate(program.steps):
            if isinstance(step, Convolution):
                layer = masked_layer(self, step.output)
                addend = None if step.addend is None else values[step.addend]
                values[step.output] = layer.convolved(
                    step, values[step.source], addend, program.shapes[step.output]
                )
            else:
                values[step.output] = result_of(step, values, program.shapes, cards)
            for number in sources_of(step):
                if program.last_uses[number] <= index:
                    values.pop(number, None)
        return values[program.output].flatten(1)


def masked_layer(network: MaskedNetwork, number: int) -> MaskedLayer:
    """Return the random layer that makes a value, by its number."""
    return cast(MaskedLayer, network.layers[str(number)])
