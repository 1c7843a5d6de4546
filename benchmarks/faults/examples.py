"""What several files of the campaign are made from, and a digest of what was read."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import torch
from torch import nn

import winninghand as wh
from winninghand.spectra import SpectralProfile

CLASSES = ("a", "b", "c")
RECIPE = """\
seed = 3
network = {name = "conv2", width = 2}
domain = {name = "gaussian", flip = false, padding = 2}
[compression]
method = "lrr"
sparsity = 0.5
fraction_per_round = 0.3
[training]
epochs = 2
batch_size = 32
learning_rate = 0.1
weight_decay = 1e-4
[quantization]
weights = "int8"
"""
STUDY = """\
title = "a study"
[recipe]
network = {name = "conv2", width = 2}
[recipe.training]
epochs = 1
[[sweeps]]
"compression.sparsity" = [0.5, 0.6]
seed = [0, 1]
[[sweeps]]
"compression.method" = "dense"
[evaluation]
corruptions = "fog,contrast"
severities = [1, 5]
limit = 20
[zoo]
data = "digits"
reference = 10
decks = ["both"]
[[decks]]
name = "both"
cards = [{"compression.sparsity" = 0.5}]
seeds = "together"
"""


def digest(*parts: object) -> str:
    """Return a hash of tensors, arrays, bytes and plain values."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, torch.Tensor):
            part = part.detach().contiguous().numpy()
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype} {part.shape}".encode())
            part = np.ascontiguousarray(part).tobytes()
        found.update(part if isinstance(part, bytes) else repr(part).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def some_network(seed: int, name: str, **settings: int) -> nn.Module:
    """Return a network for three classes with about a third of the weights of its layers."""
    torch.manual_seed(seed)
    network = wh.network(name, classes=len(CLASSES), **settings)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1:  # without its norms it would answer everything alike
                weight.mul_(torch.rand(weight.shape) < 0.3)
    return network


@lru_cache
def some_card(seed: int) -> wh.Card:
    """Return a small card with pruned weights and a profile."""
    network = some_network(seed, "wideresnet", depth=10, widen_factor=1, width=2)
    return with_profile(network)


def with_profile(network: nn.Module) -> wh.Card:
    """Return the card of a network, with a profile of noise."""
    clean, seen = (SpectralProfile.of(torch.rand(8, 3, 16, 16)) for _ in range(2))
    profile = SpectralProfile(seen.mean, seen.spread, clean)
    return wh.Card.from_module(network, CLASSES, (16, 16), profile=profile)
