"""`elastic_transform`: a random affine map, then a smooth random displacement."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.filters import gaussian_blurred, mirrored
from winninghand.corruptions.planes import scale_of, to_images, to_planes

# In pixels: how far, how smooth, and by how much the affine map's three points move.
REACH_SIGMA_JITTER = ((0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96))
TRUNCATE = 3

# Rounding must not take a constant area one level down.
TIE = 1e-3


@corruption("elastic_transform", "digital")
def elastic_transform(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Warp twice with bilinear interpolation (Simard, Steinkraus & Platt 2003)."""
    scale = scale_of(images)
    reach, sigma, jitter = (length * scale for length in REACH_SIGMA_JITTER[severity - 1])
    _, height, width, _ = images.shape
    places = _places(height, width, images.device)
    # Aligned corners reflect about pixel centres, unaligned ones about the image's rim.
    planes = _sampled(to_planes(images), _affine_sources(places, jitter, rng), aligned=True)
    if reach > 0:
        field = rng.uniform(2, height, width).mul_(2).sub_(1)
        # A blur `scale` times as wide leaves a field `scale` times as weak: that is made good here.
        shift = gaussian_blurred(field, sigma, mirrored, TRUNCATE).mul_(reach * scale)
        planes = _sampled(planes, places + shift.permute(0, 2, 3, 1), aligned=False)
    return to_images(planes.add_(TIE))


def _affine_sources(places: Tensor, jitter: float, rng: CounterRNG) -> Tensor:
    """Return where every pixel comes from, float64 (N, H, W, 2) as (x, y), under a random affine map.

    The map takes three corners of a square about the centre to points that lie up to `jitter`
    pixels from them along each axis.
    """
    height, width, _ = places.shape
    third = min(height, width) // 3
    centre = places.new_tensor([width // 2, height // 2])
    corners = centre + places.new_tensor([[third, third], [third, -third], [-third, -third]])
    moved = corners + rng.uniform(3, 2).double().mul_(2).sub_(1).mul_(jitter)
    before = corners[1:] - corners[0]
    after = moved[:, 1:] - moved[:, :1]
    linear = torch.linalg.inv(after) @ before
    return (places.view(-1, 2) - moved[:, :1]).matmul(linear).add_(corners[0]).view(-1, height, width, 2)


def _places(height: int, width: int, device: torch.device) -> Tensor:
    """Return every pixel's own place as (x, y), float64 (H, W, 2)."""
    rows = torch.arange(height, dtype=torch.float64, device=device)
    columns = torch.arange(width, dtype=torch.float64, device=device)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)


def _sampled(planes: Tensor, sources: Tensor, aligned: bool) -> Tensor:
    """Return planes (N, C, H, W) read at `sources` (N, H, W, 2), pixel places as (x, y)."""
    height, width = planes.shape[-2:]
    size = sources.new_tensor([width, height])
    units = sources * 2 / (size - 1) - 1 if aligned else (sources * 2 + 1) / size - 1
    return functional.grid_sample(
        planes, units.float(), mode="bilinear", padding_mode="reflection", align_corners=aligned
    )
