"""`fog`: a fractal haze, the same on all channels."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.planes import to_images, to_planes

STRENGTH_AND_DECAY = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))


@corruption("fog", "weather")
def fog(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Add the haze and scale back so that the brightest value of the image stays the brightest.

    The haze is drawn on the next power of two and cropped; its levels of detail are the image's.
    """
    strength, decay = STRENGTH_AND_DECAY[severity - 1]
    _, height, width, _ = images.shape
    haze = plasma(max(height, width), decay, rng)[:, None, :height, :width].mul_(255 * strength)
    planes = to_planes(images)
    brightest = planes.amax((1, 2, 3), keepdim=True)
    return to_images(planes.add_(haze).mul_(brightest / (brightest + 255 * strength)))


def plasma(side: int, decay: float, rng: CounterRNG) -> Tensor:
    """Return fractal maps float32 (N, S, S), S the next power of two, each from exactly 0 to exactly 1.

    Diamond-square on a torus (Fournier, Fussell & Carpenter 1982): every step puts in each new
    point the mean of its four neighbours and uniform noise, whose amplitude falls by decay².
    """
    amplitude = 1.0
    grid = rng.uniform(1, 1).zero_()
    while grid.shape[1] < side:
        noise = rng.uniform(3, *grid.shape[1:]).sub_(0.5).mul_(2 * amplitude)
        rows = grid + grid.roll(-1, 1)
        columns = grid + grid.roll(-1, 2)
        centre = (rows + rows.roll(-1, 2)).div_(4).add_(noise[:, 0])
        right = (columns + centre + centre.roll(1, 1)).div_(4).add_(noise[:, 1])
        below = (rows + centre + centre.roll(1, 2)).div_(4).add_(noise[:, 2])
        grid = _interleaved(torch.stack([grid, right], 3), torch.stack([below, centre], 3))
        amplitude /= decay**2
    lowest, highest = grid.amin((1, 2), keepdim=True), grid.amax((1, 2), keepdim=True)
    return grid.sub_(lowest).div_(highest - lowest)


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """Return (N, 2S, 2S) of rows (N, S, S, 2) that alternate."""
    count, side = even.shape[:2]
    return torch.stack([even, odd], 2).view(count, 2 * side, 2 * side)
