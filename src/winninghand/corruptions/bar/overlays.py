"""What C-bar lays over an image: a chessboard with holes, sparkles and their inverse."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import pixel_places, to_images, to_planes

GREY = 128

CHECKERBOARD = (1, 2, 3, 4, 5)
SMALLEST_CELL, LARGEST_CELL = 0.1, 0.25
# As many cells as there are at the smallest size.
CELLS = 40


@corruption("checkerboard_cutout", "occlusion", group="bar")
def checkerboard_cutout(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Cover some of the white fields of a turned chessboard with grey."""
    side = min(images.shape[1:3])
    angles, sizes = rng.uniform(2).double().unbind(1)
    cells = _between(sizes, SMALLEST_CELL * side, LARGEST_CELL * side).clamp_(min=1)
    chances = rng.uniform(CELLS, CELLS)
    return checkered(images, CHECKERBOARD[severity - 1], angles * 2 * math.pi, cells, chances)


def checkered(images: Tensor, strength: float, angles: Tensor, cells: Tensor, chances: Tensor) -> Tensor:
    """Return images with a chessboard's white fields grey where their chance is below strength / 10.

    `angles` and `cells`, a field's side in pixels, are float64 (N,); `chances` (N, M, M) holds one
    number in [0, 1) per field. The two rows and columns of fields at the origin share one number,
    and those before it take theirs from the end.
    """
    rows, columns = pixel_places(images)
    sine, cosine, size = (part[:, None, None] for part in (angles.sin(), angles.cos(), cells))
    down = (rows * cosine + columns * sine) / size
    across = (columns * cosine - rows * sine) / size
    white = (down.floor() + across.floor()).remainder(2) == 0
    used = (4 * min(images.shape[1:3]) / size).floor()
    place = down.trunc().remainder(used) * chances.shape[2] + across.trunc().remainder(used)
    low = (chances < strength / 10).flatten(1).gather(1, place.long().flatten(1)).view_as(white)
    return images.masked_fill((white & low)[..., None], GREY)


SPARKLES = (0.7, 3.5, 5.6, 6.3, 7)
SPARKLE_CENTRES = 5
FEWEST_RAYS, RAYS_END = 50, 200
RAY_STD = 0.25


@corruption("sparkles", "occlusion", group="bar")
def sparkles(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Add five white lights with rays of random lengths."""
    centres = rng.uniform(SPARKLE_CENTRES, 2).double() * _size(images)
    counts = rng.integers(RAYS_END - FEWEST_RAYS, SPARKLE_CENTRES) + FEWEST_RAYS
    return sparkling(images, SPARKLES[severity - 1], centres, counts, rng.normal(SPARKLE_CENTRES, RAYS_END))


def sparkling(images: Tensor, strength: float, centres: Tensor, counts: Tensor, normals: Tensor) -> Tensor:
    """Return images with lights at `centres` (N, C, 2), as (row, column), one after the other.

    The first `counts` (N, C) of `normals` (N, C, K) make the lengths of each light's rays.
    """
    reach = min(images.shape[1:3]) * strength / 100
    planes = to_planes(images, torch.float64)
    for centre, count, normal in zip(centres.unbind(1), counts.unbind(1), normals.unbind(1), strict=True):
        lengths = (reach * (1 + RAY_STD * normal.double())).clamp_(min=1)
        profile, fall = _rays(images, centre, count, lengths)
        planes.addcmul_(profile.mul_(fall).clamp_(0, 1)[:, None], 255 - planes)
    return to_images(planes)


INVERSE_SPARKLES = (1, 1.5, 2.5, 4.5, 5)


@corruption("inverse_sparkles", "occlusion", group="bar")
def inverse_sparkles(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Keep the image within the rays of one light; beyond them it fades to white."""
    centres = _between(rng.uniform(2).double(), 0.25, 0.75) * _size(images)
    counts = rng.integers(RAYS_END - FEWEST_RAYS) + FEWEST_RAYS
    return outshone(images, INVERSE_SPARKLES[severity - 1], centres, counts, rng.normal(RAYS_END))


def outshone(images: Tensor, strength: float, centres: Tensor, counts: Tensor, normals: Tensor) -> Tensor:
    """Return images that turn white away from `centres` (N, 2); the rest as in `sparkling`, for one light."""
    lengths = min(images.shape[1:3]) / 4 * (1 + RAY_STD * normals.double())
    profile, fall = _rays(images, centres, counts, lengths)
    kept = (profile * fall.pow(0.13 * strength)).clamp_(0, 1)[:, None]
    return to_images((to_planes(images, torch.float64) - 255).mul_(kept).add_(255))


def _rays(images: Tensor, centres: Tensor, counts: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return a light's profile across its rays and its fall with the distance, each float64 (N, H, W).

    The fall is length² / distance²; between the middles of two rays lengths are interpolated.
    """
    rows, columns = pixel_places(images)
    down, across = rows - centres[:, :1, None], columns - centres[:, 1:, None]
    ray = torch.atan2(across, down).add_(math.pi).mul_(counts[:, None, None]).div_(2 * math.pi)
    # After the last ray comes the first; the one after that only where an angle is exactly a whole turn.
    lengths = functional.pad(lengths, (0, 2)).scatter(1, counts[:, None], lengths[:, :1])
    lengths = lengths.scatter(1, counts[:, None] + 1, lengths[:, 1:2])
    first = ray.long()
    share = ray.sub_(first)
    here, after = (lengths.gather(1, place.flatten(1)).view_as(share) for place in (first, first + 1))
    length = after.sub_(here).mul_(share).add_(here)
    distance = down.square() + across.square()
    return 1 - share.sub_(0.5).square_(), length.square_().div_(distance.add_(0.0001))


def _size(images: Tensor) -> Tensor:
    return torch.tensor(images.shape[1:3], dtype=torch.float64, device=images.device)


def _between(uniform: Tensor, low: float, high: float) -> Tensor:
    return uniform * (high - low) + low
