"""The random draws of edge-popup and biprop: weights that are never trained, and scores that are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["signed_constant", "kaiming_normal", "keep"]


@torch.no_grad()
def draw_weights(
    weights: Mapping[str, nn.Parameter], init: Init, density: float, generator: torch.Generator
) -> None:
    """Redraw weights in place with std √2/√(fan_in·density), as suits those that are kept.

    `kaiming_normal` draws them from a normal distribution, `signed_constant` takes its signs alone
    (Ramanujan et al. 2020, section 3.3); `keep` leaves the weights as they are.
    """
    if init == "keep":
        return
    for weight in weights.values():
        std = math.sqrt(2 / (_fan_in(weight) * density))
        draw = torch.randn(weight.shape, generator=generator)
        weight.copy_(draw * std if init == "kaiming_normal" else torch.copysign(draw.new_tensor(std), draw))


def draw_scores(weights: Mapping[str, nn.Parameter], generator: torch.Generator) -> dict[str, Tensor]:
    """Return scores drawn from U(−1/√fan_in, 1/√fan_in), Kaiming uniform with a = √5, like their weights."""
    scores = {}
    for name, weight in weights.items():
        draw = torch.rand(weight.shape, generator=generator).mul_(2).sub_(1).div_(math.sqrt(_fan_in(weight)))
        scores[name] = torch.empty_like(weight, requires_grad=False).copy_(draw)
    return scores


def _fan_in(weight: Tensor) -> int:
    return weight.numel() // weight.shape[0]
