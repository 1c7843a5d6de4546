"""The digital family: contrast, elastic transform, pixelation, JPEG compression and saturation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.boxes import HALF, WEIGHT_BITS, boxes, pixelated
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.jpeg import saved_and_read
from winninghand.corruptions.parameters import (
    CONTRAST_FACTOR,
    ELASTIC,
    JPEG_QUALITY,
    PIXELATE_FACTOR,
    SATURATE,
    Saturation,
    Setting,
    Warp,
)
from winninghand.corruptions.planes import (
    gaussian_blurred,
    hsv_parts,
    mirrored,
    to_images,
    to_planes,
)


@corruption("contrast", "digital", group="common", deterministic=True, table=CONTRAST_FACTOR)
def contrast(images: Tensor, setting: Setting[float], _: CounterRNG) -> Tensor:
    """Move every value towards its channel's mean over the image: (x − mean) · factor + mean."""
    planes = to_planes(images, torch.float64).div_(255)
    pixels = images.shape[1] * images.shape[2]
    mean = images.sum((1, 2)).double()[..., None, None] / (255 * pixels)
    return to_images(planes.sub_(mean).mul_(setting.values).add_(mean).mul_(255))


ELASTIC_TRUNCATE = 3

# Rounding must not take a constant area one level down.
TIE = 1e-3


@corruption("elastic_transform", "digital", group="common", table=ELASTIC)
def elastic_transform(images: Tensor, setting: Setting[Warp], rng: CounterRNG) -> Tensor:
    """Warp twice with bilinear interpolation (Simard, Steinkraus & Platt 2003)."""
    scale = setting.scale
    reach, sigma, jitter = (length * scale for length in setting.values)
    _, height, width, _ = images.shape
    places = _places(height, width, images.device)
    # Aligned corners reflect about pixel centres, unaligned ones about the image's rim.
    planes = _sampled(to_planes(images), _affine_sources(places, jitter, rng), aligned=True)
    if reach > 0:
        field = rng.uniform(2, height, width).mul_(2).sub_(1)
        # A blur `scale` times as wide leaves a field `scale` times as weak: the factor corrects that.
        shift = gaussian_blurred(field, sigma, mirrored, ELASTIC_TRUNCATE).mul_(reach * scale)
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


@corruption("pixelate", "digital", group="common", deterministic=True, table=PIXELATE_FACTOR, lean=True)
def pixelate(images: Tensor, setting: Setting[float], _: CounterRNG) -> Tensor:
    """Shrink with a box filter by the factor and enlarge with the nearest pixel, as Pillow does.

    It averages across and then down, rounded to whole levels after each.
    """
    down, across = (boxes(length, setting.values) for length in images.shape[1:3])
    if images.device.type == "cpu":
        result = torch.empty(images.shape, dtype=torch.uint8)
        pixelated(
            images.contiguous().numpy(),
            down.edges.numpy(),
            across.edges.numpy(),
            down.shown.numpy(),
            across.shown.numpy(),
            result.numpy(),
        )
        return result
    for axis, (edges, shown) in ((2, across), (1, down)):
        first, end, weight = edges.to(images.device)
        sums = functional.pad(images.long().movedim(axis, -1).cumsum(-1), (1, 0))
        means = (sums[..., end] - sums[..., first]) * weight + HALF >> WEIGHT_BITS
        images = means.byte()[..., shown.to(images.device)].movedim(-1, axis)
    return images


@corruption("jpeg_compression", "digital", group="common", deterministic=True, table=JPEG_QUALITY, lean=True)
def jpeg_compression(images: Tensor, setting: Setting[int], _: CounterRNG) -> Tensor:
    """Encode and decode every image by Pillow, at the given quality."""
    return saved_and_read(images, setting.values)


@corruption("saturate", "digital", group="extra", deterministic=True, table=SATURATE)
def saturate(images: Tensor, setting: Setting[Saturation], _: CounterRNG) -> Tensor:
    """Replace S of HSV by gain · S + offset, clipped to 0..1; hue and value stay.

    Grey has hue 0 there, which is red: an offset makes it reddish.
    """
    gain, offset = setting.values
    value, saturation, depth = hsv_parts(images)
    changed = saturation.mul_(gain).add_(offset).clamp_(0, 1)
    return to_images((1 - depth.mul_(changed)).mul_(value).mul_(255))
