"""`caustic_refraction`: the image as if seen through moving water."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.bar.warps import sampled
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import gaussian_blurred, mirrored, pixel_places

CAUSTIC = (2.35, 3.2, 4.9, 6.6, 9.15)
TURN = 6.28318530718
ROUNDS = 5
INTENSITY = 0.005
FLATTEST = 0.999


@corruption("caustic_refraction", "warp", group="imagenet_bar")
def caustic_refraction(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Bend the image by the slopes of a net of light, and light those slopes from one side."""
    times, sizes = rng.uniform(2).double().unbind(1)
    sizes = min(images.shape[1:3]) * (0.75 + 0.5 * sizes)
    return refracted(images, CAUSTIC[severity - 1], 0.5 + 1.5 * times, sizes)


def refracted(images: Tensor, strength: float, times: Tensor, sizes: Tensor) -> Tensor:
    """Return images bent at `times` (N,), the pattern's side being `sizes` (N,) pixels."""
    net = functional.pad(gaussian_blurred(caustics(images, times, sizes), 1, mirrored), (1, 1, 1, 1))
    down = net[:, 2:, 1:-1] - net[:, :-2, 1:-1]
    across = net[:, 1:-1, 2:] - net[:, 1:-1, :-2]
    slope = torch.hypot(down, across)
    cosine = 1 / (slope.square() + 1).sqrt()
    tilt = cosine.acos()
    reach = min(images.shape[1:3]) * strength / 20 * torch.sin(tilt - torch.asin(tilt.sin() / 4))
    reach = torch.where(cosine < FLATTEST, reach / slope, 0)
    shifts = [(reach * part).round(decimals=3) for part in (down, across)]
    rows, columns = pixel_places(images)
    bent = sampled(images, rows + shifts[0], columns + shifts[1], white=1)
    lit = bent + ((down - across) * strength / 5)[..., None]
    return lit.clamp_(0, 1).mul_(255).byte()


def caustics(images: Tensor, times: Tensor, sizes: Tensor) -> Tensor:
    """Return a net of light, float64 (N, H, W) in [0, 1]."""
    size = sizes[:, None, None]
    down, across = ((part / size).remainder(1) * TURN - 250 for part in pixel_places(images))
    here, there = (part.expand(images.shape[:3]) for part in (down, across))
    light = torch.ones(images.shape[:3], dtype=torch.float64, device=images.device)
    for turn in range(1, ROUNDS + 1):
        time = times[:, None, None] * (1 - 3.5 / turn)
        here, there = (
            (time - here).cos_().add_((time + there).sin_()).add_(down),
            (time - there).sin_().add_((time + here).cos_()).add_(across),
        )
        rise = (here + time).sin_().reciprocal_().mul_(down * INTENSITY)
        shift = (there + time).cos_().reciprocal_().mul_(across * INTENSITY)
        light += rise.hypot_(shift).reciprocal_()
    return light.div_(ROUNDS).pow_(1.4).sub_(1.17).square_().square_().square_().clamp_(max=1)
