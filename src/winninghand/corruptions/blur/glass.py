"""`glass_blur`: pixels copied from close by, between two blurs."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.blur.gaussian import softened
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.planes import scale_of

SIGMA_REACH_ROUNDS = ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))


@corruption("glass_blur", "blur")
def glass_blur(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Blur, copy every pixel from up to `reach` pixels above and to the left, and blur again."""
    sigma, reach, rounds = SIGMA_REACH_ROUNDS[severity - 1]
    scale = scale_of(images)
    reach = max(1, round(reach * scale))
    images = softened(images, sigma * scale)
    for _ in range(rounds):
        up, left = rng.integers(reach + 1, 2, *images.shape[1:3]).unbind(1)
        images = displaced(images, up, left, reach)
    return softened(images, sigma * scale)


def displaced(images: Tensor, up: Tensor, left: Tensor, reach: int) -> Tensor:
    """Return images (N, H, W, 3), each pixel copied from `up` rows above and `left` columns before.

    `up` and `left` are int64 (N, H, W) in 0 .. reach; the first reach + 1 rows and columns stay.
    The benchmark means to swap pixels and, through views of one array, only copies them; it goes
    from the last pixel to the first, so that each source is still as it was: one gather.
    """
    count, height, width, _ = images.shape
    rows = torch.arange(height, device=images.device)[:, None]
    columns = torch.arange(width, device=images.device)
    moving = (rows > reach) & (columns > reach)
    source = torch.arange(count * height * width, device=images.device).view(count, height, width)
    source -= (up * width + left) * moving
    return images.reshape(-1, 3).index_select(0, source.flatten()).view_as(images)
