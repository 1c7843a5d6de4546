"""Fewer bits per weight: the prunable weights of a finished network, rounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.networks.entering import check_values

WeightFormat = Literal["fp16", "int8", "int4", "binary"]

_HIGHEST_LEVEL = {"int8": 127, "int4": 7}
# How far the largest weight of a channel may be clipped, in the search for its scale.
_CLIPPING = torch.linspace(1.0, 0.4, 25, dtype=torch.float32)


@torch.no_grad()
def quantize(
    weights: Mapping[str, Tensor], form: WeightFormat, energies: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return rounded weights by name, and for whole levels the float32 scales (channels,) by name.

    `int8` and `int4`: whole levels −127 .. 127 or −7 .. 7 times a scale per output channel (dimension
    0), chosen for the least squared error among 25 clippings; weights near zero may become zero.
    `fp16`: the nearest IEEE half. `binary`: sign times the mean |w| of the layer. Zeros stay zero.
    `energies`, where they hold a weight's name, are what its squared errors count (`input_energies`).

    Raises `InputError` for an unknown format, for weights that are not float32 or not finite, and for
    a weight beyond the range of a half.
    """
    if form not in get_args(WeightFormat):
        raise InputError(f"weights are quantized to {', '.join(get_args(WeightFormat))}, not {form!r}")
    check_values(weights)
    rounded: dict[str, Tensor] = {}
    scales: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.dtype != torch.float32:
            raise InputError(f"{name!r} is {weight.dtype}; only float32 weights are quantized")
        if form in _HIGHEST_LEVEL:
            result, scale = to_levels(weight, _HIGHEST_LEVEL[form], energies.get(name))
            scales[name] = scale.cpu()
        else:
            result = _to_half(name, weight) if form == "fp16" else _to_binary(weight)
        # A pruned weight is +0, whatever its sign was.
        rounded[name] = result + 0.0
    return rounded, scales


def to_levels(weight: Tensor, highest: int, energy: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return levels × scale in the shape of `weight`, and the scale of each channel, float32 (channels,).

    `energy`, which broadcasts over `weight`, is what a squared error counts; 1 where None.
    """
    rows = weight.reshape(len(weight), -1)
    counts = None if energy is None else energy.expand(weight.shape).reshape(rows.shape)
    largest = rows.abs().amax(dim=1).clamp(min=highest * torch.finfo(torch.float32).tiny)
    best, scales = torch.full_like(largest, torch.inf), largest / highest
    for clipping in _CLIPPING.tolist():
        candidate = largest * (clipping / highest)
        squares = (_rounded(rows, candidate, highest) - rows).square()
        error = (squares if counts is None else squares * counts).sum(dim=1)
        better = error < best
        best, scales = torch.where(better, error, best), torch.where(better, candidate, scales)
    return _rounded(rows, scales, highest).view_as(weight), scales


def fits_levels(weight: Tensor, scale: Tensor, form: str) -> bool:
    """Tell whether a weight is whole levels of `form` times its scales (channels,), bit by bit."""
    rows = weight.reshape(len(weight), -1)
    return torch.equal(_rounded(rows, scale.to(weight), _HIGHEST_LEVEL[form]) + 0.0, rows)


def _rounded(rows: Tensor, scales: Tensor, highest: int) -> Tensor:
    return (rows / scales[:, None]).round().clamp(-highest, highest) * scales[:, None]


def _to_half(name: str, weight: Tensor) -> Tensor:
    half = weight.half().float()
    if not bool(half.isfinite().all()):
        raise InputError(f"a weight of {name!r} is beyond ±65504, the range of fp16; take int8")
    return half


def _to_binary(weight: Tensor) -> Tensor:
    kept = weight != 0
    return weight.sign() * (weight.abs().sum() / kept.sum().clamp(min=1))


@torch.no_grad()
def input_energies(network: nn.Module, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Return, by the name of a weight, the mean square of the input that each of its elements meets.

    The tensors broadcast over their weights. To first order the squared error of a layer's output
    is the sum of squared errors of its weights times these. Convolutions and linear layers are
    measured; weights elsewhere, and those of transposed convolutions, are left out.
    """
    found: dict[str, list[Tensor]] = {}
    hooks = [
        layer.register_forward_pre_hook(_measuring(f"{name}.weight".lstrip("."), found))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear)
    ]
    try:
        for batch in batches:
            network(batch)
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


@torch.no_grad()
def measure_norms(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the statistics of batch norms, in place, by their plain means over `batches`."""
    norms = [
        part
        for part in network.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
        norm.train()
    for batch in batches:
        network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
