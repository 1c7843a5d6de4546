"""The warps of C-bar: `ripple` and `pinch_and_twirl`."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import pixel_places

RIPPLE = (5.5, 6, 6.5, 7.5, 8)


@corruption("ripple", "warp", group="bar")
def ripple(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Shift rows and columns along sine waves."""
    side = min(images.shape[1:3])
    wavelengths, phases = rng.uniform(2, 2).double().unbind(1)
    return rippled(images, RIPPLE[severity - 1], side * (0.1 + 0.2 * wavelengths), 2 * math.pi * phases)


def rippled(images: Tensor, strength: float, wavelengths: Tensor, phases: Tensor) -> Tensor:
    """Return images read at places that swing about their own; both draws are (N, 2), rows then columns."""
    reach = 0.0025 * strength * min(images.shape[1:3])
    rows, columns = (
        places + reach * torch.sin(2 * math.pi * places / length[:, None, None] + phase[:, None, None])
        for places, length, phase in zip(
            pixel_places(images), wavelengths.unbind(1), phases.unbind(1), strict=True
        )
    )
    return sampled(images, rows, columns).byte()


PINCH_AND_TWIRL = (5.5, 6, 6.5, 8.5, 10)
FEWER_CELLS, MORE_CELLS, SIDE_OF_MORE = 3, 5, 128


@corruption("pinch_and_twirl", "warp", group="bar")
def pinch_and_twirl(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Draw a grid of disks together, and twist each of them to the left or to the right."""
    _, height, width, _ = images.shape
    cells = FEWER_CELLS if min(height, width) < SIDE_OF_MORE else MORE_CELLS
    down, across = (cells * length // min(height, width) for length in (height, width))
    return twirled(images, PINCH_AND_TWIRL[severity - 1], 1 - 2 * rng.integers(2, across, down))


def twirled(images: Tensor, strength: float, signs: Tensor) -> Tensor:
    """Return images twisted in cells; `signs` (N, across, down) are 1 and −1, one for each cell.

    Pixels after the last whole cell stay, as do those outside the disk that touches a cell's sides.
    """
    across, down = signs.shape[1:]
    side = min(images.shape[1] // down, images.shape[2] // across)
    turned = torch.stack([_twirl(side, strength, sign) for sign in (1, -1)]).to(images.device)
    # (N, down, across, row, column, axis)
    shifts = turned[(1 - signs.mT) // 2].transpose(2, 3).reshape(len(images), down * side, across * side, 2)
    rest = (0, 0, 0, images.shape[2] - across * side, 0, images.shape[1] - down * side)
    shifts = functional.pad(shifts, rest)
    rows, columns = pixel_places(images)
    return sampled(images, rows + shifts[..., 0], columns + shifts[..., 1]).byte()


def _twirl(side: int, strength: float, sign: int) -> Tensor:
    """Return how far away each pixel of one cell is read, float64 (side, side, 2), rows and columns."""
    place = torch.arange(side, dtype=torch.float64) - side / 2
    offset = torch.stack(torch.meshgrid(place, place, indexing="ij"), -1)
    distance = torch.hypot(offset[..., 0], offset[..., 1]) / (side / 2)
    moving = (distance > 0) & (distance <= 1)
    distance = torch.where(moving, distance, 1)
    angle = sign * math.pi * strength / 20 * (1 - distance) ** 2
    pinch = torch.sin(math.pi * distance / 2) ** -(0.04 * strength + 0.1)
    down, across = offset.unbind(-1)
    source = torch.stack(
        [down * angle.cos() - across * angle.sin(), down * angle.sin() + across * angle.cos()], -1
    )
    return torch.where(moving[..., None], pinch[..., None] * source - offset, 0)


def sampled(images: Tensor, rows: Tensor, columns: Tensor, white: float = 255) -> Tensor:
    """Return float64 (N, H, W, 3), uint8 images read at `rows` and `columns` by bilinear interpolation.

    Both are broadcast to (N, H, W). Each of the four neighbours that lies outside the image counts as
    black. The result is in 0 .. `white`.
    """
    count, height, width, channels = images.shape
    flat = functional.pad(images, (0, 0, 1, 2, 1, 2)).view(-1, channels).T.contiguous()
    top, down = _split(rows, height)
    left, across = _split(columns, width)
    first = torch.arange(count, device=images.device)[:, None, None] * (height + 3) * (width + 3)
    corner = (first + (top + 1) * (width + 3) + left + 1).flatten()
    down, across = (part.expand(count, height, width).flatten() for part in (down, across))
    up, back = 1 - down, 1 - across

    def pixels(step: int) -> Tensor:
        levels = flat.index_select(1, corner + step).double()
        return levels if white == 255 else levels.mul_(white).div_(255)

    def between(step: int) -> Tensor:
        return pixels(step).mul_(back).add_(pixels(step + 1).mul_(across))

    result = between(0).mul_(up).add_(between(width + 3).mul_(down))
    return result.view(channels, count, height, width).permute(1, 2, 3, 0)


def _split(places: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Return the whole part and the rest of places on an axis, no farther out than one pixel."""
    inside = places.clamp(-1, length)
    whole = inside.floor()
    return whole.long(), inside - whole
