"""`perlin_noise`: turbulence of five octaves of gradient noise."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import to_images, to_planes

PERLIN = (4.6, 5.2, 5.8, 7.6, 8.8)
CELLS = 7
OCTAVES = (1, 2, 4, 8, 16)
TABLE = 256


@corruption("perlin_noise", "noise", group="imagenet_bar")
def perlin_noise(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Blend with a grey turbulence."""
    vectors = rng.integers(2 * TABLE, TABLE, 2) - TABLE
    return turbulent(images, PERLIN[severity - 1], vectors, shuffled(rng.integers(TABLE, TABLE)))


def shuffled(partners: Tensor) -> Tensor:
    """Return 0..255 as (N, 256) after swaps of each place, from the last on, with its `partners` (N, 256).

    The first swap is with the first partner. This shuffle does not give all orders alike.
    """
    table = torch.arange(TABLE, device=partners.device).repeat(len(partners), 1)
    for turn in range(TABLE):
        here = table[:, TABLE - 1 - turn].clone()
        partner = partners[:, turn : turn + 1]
        table[:, TABLE - 1 - turn] = table.gather(1, partner)[:, 0]
        table.scatter_(1, partner, here[:, None])
    return table


def turbulent(images: Tensor, strength: float, vectors: Tensor, table: Tensor) -> Tensor:
    """Return images blended with turbulence.

    `vectors` int64 (N, 256, 2) are the gradients before they get the length 1, rows first; `table`
    (N, 256) says which of them stands where (Perlin 1985).
    """
    _, height, width, _ = images.shape
    gradients = vectors.double()
    gradients = gradients / torch.hypot(*gradients.unbind(-1))[..., None].clamp(min=1)
    side = min(height, width)
    noise = torch.zeros(images.shape[:3], dtype=torch.float64, device=images.device)
    for octave in OCTAVES:
        rows, columns = (
            CELLS * octave * torch.arange(length, dtype=torch.float64, device=images.device) / side
            for length in (height, width)
        )
        noise += (1.5 * _gradient_noise(rows, columns, gradients, table)).abs() / octave
    alpha = 0.05 * strength
    blended = to_planes(images, torch.float64).mul_(1 - alpha)
    return to_images(blended.add_((0.5 * noise + 0.5).clamp_(max=1)[:, None], alpha=255 * alpha))


def _gradient_noise(rows: Tensor, columns: Tensor, gradients: Tensor, table: Tensor) -> Tensor:
    """Return gradient noise float64 (N, H, W) at `rows` (H,) and `columns` (W,), in cells."""
    row, column = rows.floor().int(), columns.floor().int()
    down, across = (rows - row)[:, None], columns - column
    own = TABLE * torch.arange(len(table), device=table.device, dtype=torch.int32)[:, None, None]
    line = table.int()
    slopes = gradients.gather(1, table[..., None].expand(-1, -1, 2)).view(-1, 2)
    down_slopes, across_slopes = slopes.T.contiguous()

    def corner(below: int, beside: int) -> Tensor:
        first = line.index_select(1, (row + below) % TABLE)[:, :, None]
        place = (first + (column + beside)).bitwise_and_(TABLE - 1).add_(own).flatten()
        steep, wide = (
            part.index_select(0, place).view(len(table), len(row), len(column))
            for part in (down_slopes, across_slopes)
        )
        slope: Tensor = steep.mul_(down - below).add_(wide.mul_(across - beside))
        return slope

    down_share, across_share = (3 * part**2 - 2 * part**3 for part in (down, across))
    upper, lower = (_between(corner(below, 0), corner(below, 1), across_share) for below in (0, 1))
    return _between(upper, lower, down_share)


def _between(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    return second.sub_(first).mul_(share).add_(first)
