"""The random draws of edge-popup and biprop: weights that are never trained, and scores that are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from winninghand.base.randomness import CounterRNG

Init = Literal["signed_constant", "kaiming_normal", "keep"]


@torch.no_grad()
def draw_weights(weights: Mapping[str, nn.Parameter], init: Init, density: float, seed: int) -> None:
    """Redraw weights in place (see `drawn_weight`); `keep` leaves them as they are."""
    if init == "keep":
        return
    for name, weight in weights.items():
        weight.copy_(drawn_weight(name, weight.shape, init, density, seed))


def drawn_weight(name: str, shape: Sequence[int], init: Init, density: float, seed: int) -> Tensor:
    """Return the random weight of a name, float32 of this shape: a function of its arguments alone.

    Its std is √2/√(fan_in·density), as suits weights of which that fraction is kept. `kaiming_normal` draws
    from a normal distribution, `signed_constant` takes its signs alone (Ramanujan et al. 2020, section 3.3).
    A card that is made of such weights needs no more of them in its file than the seed.
    """
    std = math.sqrt(2 / (math.prod(shape[1:]) * density))
    draw = CounterRNG(f"edge-popup, seed {seed}: {name}", torch.arange(shape[0])).normal(*shape[1:])
    return draw * std if init == "kaiming_normal" else torch.copysign(draw.new_tensor(std), draw)


def draw_scores(weights: Mapping[str, nn.Parameter], generator: torch.Generator) -> dict[str, Tensor]:
    """Return scores drawn from U(−1/√fan_in, 1/√fan_in), Kaiming uniform with a = √5, like their weights."""
    scores = {}
    for name, weight in weights.items():
        draw = torch.rand(weight.shape, generator=generator).mul_(2).sub_(1).div_(math.sqrt(_fan_in(weight)))
        scores[name] = torch.empty_like(weight, requires_grad=False).copy_(draw)
    return scores


def _fan_in(weight: Tensor) -> int:
    return weight.numel() // weight.shape[0]
