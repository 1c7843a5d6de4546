"""How much the inputs of each weight matter, as training images show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from winninghand.cards.card import Card


@torch.no_grad()
def input_energies(card: Card, images: Tensor) -> dict[str, Tensor]:
    """Return, by the name of a weight, the mean square of the input that each of its elements meets.

    The tensors broadcast over their weights. To first order the squared error of a layer's output
    is the sum of squared errors of its weights times these. Convolutions and linear layers are
    measured; weights elsewhere, and those of transposed convolutions, are left out.
    """
    found: dict[str, list[Tensor]] = {}
    hooks = [
        layer.register_forward_pre_hook(_measuring(f"{name}.weight".lstrip("."), found))
        for name, layer in card.network.named_modules()
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear)
    ]
    try:
        for batch in images.split(256):
            card(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.stack(parts).mean(dim=0) for name, parts in found.items()}


def _measuring(name: str, found: dict[str, list[Tensor]]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def measure(layer: Any, inputs: tuple[Tensor, ...]) -> None:  # noqa: ANN401 (any convolution)
        x = inputs[0]
        if isinstance(layer, nn.Linear):
            found.setdefault(name, []).append(x.square().flatten(0, -2).mean(dim=0)[None])
            return
        energy = x.square().transpose(0, 1).flatten(1).mean(dim=1)
        # Each group of outputs sees its own inputs.
        groups = energy.view(layer.groups, -1).repeat_interleave(layer.out_channels // layer.groups, dim=0)
        found.setdefault(name, []).append(groups.view(*groups.shape, *[1] * (x.ndim - 2)))

    return measure
