"""Fewer bits per weight: a finished card with its prunable weights rounded."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.cards.card import Card
from winninghand.cards.sensitivity import input_energies

Weights = Literal["fp16", "int8", "int4", "binary"]

_HIGHEST_LEVEL = {"int8": 127, "int4": 7}
# How far the largest weight of a channel may be clipped, in the search for its scale.
_CLIPPING = torch.linspace(1.0, 0.4, 25)


def quantize(card: Card, weights: Weights, images: Tensor | None = None, norms: bool = False) -> Card:
    """Return a new card whose prunable weights are rounded; biases, norms and pruned weights stay.

    `int8` and `int4`: whole levels −127 .. 127 or −7 .. 7 times a float32 scale per output channel
    (dimension 0), chosen for the least squared error among 25 clippings; weights near zero may
    become zero. `fp16`: the nearest IEEE half. `binary`: sign times the mean |w| of the layer.

    With `images`, training images, float (N, 3, H, W) in [0, 1], each weight's error counts by the
    mean square of the input it meets, so that what is least is the error of the layer's output; with
    `norms` the statistics of batch-norms are measured again on them.

    Raises `InputError` for an unknown kind, for weights that are not float32, for a weight beyond
    the range of a half, and for `norms` without images.
    """
    if weights not in get_args(Weights):
        raise InputError(f"weights are quantized to {', '.join(get_args(Weights))}, not {weights!r}")
    if norms and images is None:
        raise InputError("the statistics of batch-norms are measured on images; pass some")
    network = copy.deepcopy(card.network)
    energies = {} if images is None else input_energies(card, images)
    parameters = dict(network.named_parameters())
    scales: dict[str, Tensor] = {}
    with torch.no_grad():
        for name in card.metadata.prunable:
            weight = parameters[name]
            if weight.dtype != torch.float32:
                raise InputError(f"{name!r} is {weight.dtype}; only float32 weights are quantized")
            if weights in _HIGHEST_LEVEL:
                rounded, scale = to_levels(weight, _HIGHEST_LEVEL[weights], energies.get(name))
                scales[name] = scale.cpu()
            else:
                rounded = _to_half(name, weight) if weights == "fp16" else _to_binary(weight)
            # A pruned weight is +0, whatever its sign was.
            weight.copy_(rounded + 0.0)
    metadata = card.metadata.model_copy(update={"quantization": _memory(weights, images, norms)})
    quantized = Card(network, metadata, card.profile, scales)
    if norms and images is not None:
        _measure_norms(quantized, images)
    return quantized


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


def _memory(weights: str, images: Tensor | None, norms: bool) -> dict[str, Any]:
    """Return what the card remembers of it."""
    return {"weights": weights, "images": 0 if images is None else len(images), "norms": norms}


@torch.no_grad()
def _measure_norms(card: Card, images: Tensor) -> None:
    """Replace the statistics of batch-norms by the plain means over batches of `images`."""
    norms = [
        part
        for part in card.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
        norm.train()
    for batch in images.split(256):
        card(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def stored(weight: Tensor, memory: Mapping[str, Any] | None) -> Tensor:
    """Return a prunable weight as it is written to a file."""
    return weight.half() if _is_half(memory) else weight


def restored(weight: Tensor, memory: Mapping[str, Any] | None) -> Tensor:
    """Return what `stored` was given."""
    return weight.float() if _is_half(memory) else weight


def _is_half(memory: Mapping[str, Any] | None) -> bool:
    return memory is not None and memory.get("weights") == "fp16"
