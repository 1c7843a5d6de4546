"""`motion_blur`: the smear of a camera that moved."""

from __future__ import annotations

from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.planes import scale_of
from winninghand.corruptions.streaks import streaked

RADIUS_AND_SIGMA = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))
STEEPEST = 45


@corruption("motion_blur", "blur")
def motion_blur(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Smear every image along a line of its own, up to 45 degrees from the horizontal."""
    radius, sigma = RADIUS_AND_SIGMA[severity - 1]
    scale = scale_of(images)
    angles = rng.uniform().double().mul_(2 * STEEPEST).sub_(STEEPEST)
    return streaked(images, angles, radius * scale, sigma * scale)
