"""A ticket's network: random weights, each with a mask, that are never trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from winninghand.engine.program import Convolution, Program, result_of, sources_of


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

    def seen(self, convolution: Convolution, dtype: torch.dtype) -> Convolution:
        """Return the convolution with the weights as the network sees them, those that are not kept zero."""
        return replace(
            convolution,
            weight=(self.weight * self.kept).to(dtype),
            scales=convolution.scales.to(dtype),
            biases=convolution.biases.to(dtype) + (self.bias * self.bias_kept).to(dtype)[None],
        )


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
                # Scales and biases other than 1 and 0 are a quantized target's own.
                step = cast(MaskedLayer, self.layers[str(step.output)]).seen(step, images.dtype)
            values[step.output] = result_of(step, values, program.shapes, cards)
            for number in sources_of(step):
                if program.last_uses[number] <= index:
                    values.pop(number, None)
        return values[program.output].flatten(1)
