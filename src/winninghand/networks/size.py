"""How large a network is: parameters, and multiply-accumulates for one image."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from winninghand.base.device import evaluation_mode

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def count_parameters(module: nn.Module) -> int:
    """Return the number of parameters of any module, those that are frozen included, shared ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(module: nn.Module, size: tuple[int, int], channels: int = 3) -> dict[str, int]:
    """Return the multiply-accumulates that each layer's weights do for one image of `size` (H, W).

    The keys are the names of the modules that own the weights, in order of their first call. Any
    module will do: its convolutions, linear layers and the four projections of `MultiheadAttention`
    are counted (the first three under the attention's name, the last under `….out_proj`), a layer
    that runs twice twice. Products without a weight (attention scores, biases, norms) are left
    out, and so is a weight that is used without calling the layer it belongs to.

    The module runs once in evaluation mode without gradients and is left as it was.
    """
    macs: Counter[str] = Counter()

    def count(layer: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ANN401
        given = inspect.signature(layer.forward).bind(*args, **kwargs).arguments
        for owner, products in _products(layer, given, output):
            macs[f"{names[layer]}.{owner}".strip(".")] += products

    names = {layer: name for name, layer in module.named_modules() if _is_counted(layer)}
    parameter = next(module.parameters(), torch.empty(0))
    image = torch.zeros(1, channels, *size, dtype=parameter.dtype, device=parameter.device)
    hooks = [layer.register_forward_hook(count, with_kwargs=True) for layer in names]
    try:
        with evaluation_mode(module), torch.no_grad():
            module(image)
    finally:
        for hook in hooks:
            hook.remove()
    return dict(macs)


def _is_counted(layer: nn.Module) -> bool:
    return isinstance(layer, (*CONVOLUTIONS, *TRANSPOSED, nn.Linear, nn.MultiheadAttention))


def _products(layer: nn.Module, given: dict[str, Any], output: Any) -> Iterator[tuple[str, int]]:  # noqa: ANN401
    """Yield the owner of each weight, below `layer`, and its multiply-accumulates: size × places of use."""
    if isinstance(layer, nn.MultiheadAttention):
        width = layer.embed_dim
        yield "", sum(given[name].numel() for name in ("query", "key", "value")) * width
        yield "out_proj", given["query"].numel() * width
    elif isinstance(layer, nn.Linear):
        yield "", output.numel() * layer.in_features
    elif isinstance(layer, TRANSPOSED):
        yield "", _per_channel(given["input"], layer.in_channels) * layer.weight.numel()
    elif isinstance(layer, CONVOLUTIONS):
        yield "", _per_channel(output, layer.out_channels) * layer.weight.numel()


def _per_channel(tensor: Tensor, channels: int) -> int:
    return tensor.numel() // channels
