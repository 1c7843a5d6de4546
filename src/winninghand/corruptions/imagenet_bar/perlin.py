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
    row, column = rows.floor().long(), columns.floor().long()
    down, across = (rows - row)[:, None], columns - column
    count, shape = len(table), (len(table), len(rows), len(columns))

    def corner(below: int, beside: int) -> Tensor:
        first = table[:, (row + below) % TABLE]
        place = (first[:, :, None] + (column + beside)) % TABLE
        chosen = table.gather(1, place.view(count, -1))
        slope = gradients.gather(1, chosen[..., None].expand(-1, -1, 2)).view(*shape, 2)
        return slope[..., 0] * (down - below) + slope[..., 1] * (across - beside)

    down_share, across_share = (3 * part**2 - 2 * part**3 for part in (down, across))
    upper, lower = (_between(corner(below, 0), corner(below, 1), across_share) for below in (0, 1))
    return _between(upper, lower, down_share)


def _between(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    return first + share * (second - first)
