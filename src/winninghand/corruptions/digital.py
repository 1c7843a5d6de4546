"""The digital family: contrast, elastic transform, pixelation, JPEG compression and saturation."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from winninghand.base.randomness import CounterRNG
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
LARGE = 2**14

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


@corruption("pixelate", "digital", group="common", deterministic=True, table=PIXELATE_FACTOR)
def pixelate(images: Tensor, setting: Setting[float], _: CounterRNG) -> Tensor:
    """Shrink with a box filter by the factor and enlarge with the nearest pixel, as Pillow does.

    A box of one or two pixels is their mean, rounded after each axis. Wider ones, and images so large
    that gathering their pixels takes longer, are Pillow's own work.
    """
    height, width = images.shape[1:3]
    wide = any(length > 2 * int(length * setting.values) for length in (height, width))
    if wide or height * width >= LARGE:
        return _pixelated_by_pillow(images, setting.values)
    for axis in (2, 1):
        low, high = _boxes(images.shape[axis], setting.values)
        pair = [images.index_select(axis, place.to(images.device)).short() for place in (low, high)]
        images = pair[0].add_(pair[1]).add_(1).bitwise_right_shift_(1).byte()
    return images


def _pixelated_by_pillow(images: Tensor, factor: float) -> Tensor:
    result = torch.empty_like(images, device="cpu")
    pixels = result.numpy()
    for place, image in enumerate(images.cpu().numpy()):
        height, width, _ = image.shape
        small = Image.fromarray(image).resize(
            (max(1, int(width * factor)), max(1, int(height * factor))), Image.Resampling.BOX
        )
        pixels[place] = np.asarray(small.resize((width, height), Image.Resampling.NEAREST))
    return result.to(images.device)


@cache
def _boxes(length: int, factor: float) -> tuple[Tensor, Tensor]:
    """Return the first and last source pixel of the box that every pixel of the result shows."""
    small = int(length * factor)
    width = length / small
    shown = [math.floor((place + 0.5) * small / length) for place in range(length)]
    low = [int(box * width + 0.5) for box in shown]
    high = [int((box + 1) * width + 0.5) - 1 for box in shown]
    return torch.tensor(low), torch.tensor(high)


@corruption("jpeg_compression", "digital", group="common", deterministic=True, table=JPEG_QUALITY)
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
