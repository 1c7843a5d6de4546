"""The digital family: contrast, elastic transform, pixelation, JPEG compression and saturation."""

from __future__ import annotations

import io
import math
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import (
    gaussian_blurred,
    hsv_parts,
    mirrored,
    scale_of,
    to_images,
    to_planes,
)

CONTRAST_FACTOR = (0.75, 0.5, 0.4, 0.3, 0.15)


@corruption("contrast", "digital", group="common", deterministic=True)
def contrast(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Move every value towards its channel's mean over the image: (x − mean) · factor + mean."""
    planes = to_planes(images, torch.float64).div_(255)
    pixels = images.shape[1] * images.shape[2]
    mean = images.sum((1, 2)).double()[..., None, None] / (255 * pixels)
    return to_images(planes.sub_(mean).mul_(CONTRAST_FACTOR[severity - 1]).add_(mean).mul_(255))


# In pixels: how far, how smooth, and by how much the affine map's three points move.
ELASTIC_REACH_SIGMA_JITTER = (
    (0, 0, 2.56),
    (1.6, 6.4, 2.24),
    (2.56, 1.92, 1.92),
    (3.2, 1.28, 1.6),
    (3.2, 0.96, 0.96),
)
ELASTIC_TRUNCATE = 3

# Rounding must not take a constant area one level down.
TIE = 1e-3


@corruption("elastic_transform", "digital", group="common")
def elastic_transform(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Warp twice with bilinear interpolation (Simard, Steinkraus & Platt 2003)."""
    scale = scale_of(images)
    reach, sigma, jitter = (length * scale for length in ELASTIC_REACH_SIGMA_JITTER[severity - 1])
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


PIXELATE_FACTOR = (0.95, 0.9, 0.85, 0.75, 0.65)


@corruption("pixelate", "digital", group="common", deterministic=True)
def pixelate(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Shrink with a box filter by the factor and enlarge with the nearest pixel, as Pillow does.

    The factor is above ½, so a box holds one or two pixels: their mean, rounded after each axis.
    """
    for axis in (2, 1):
        low, high = _boxes(images.shape[axis], PIXELATE_FACTOR[severity - 1])
        pair = [images.index_select(axis, place.to(images.device)).short() for place in (low, high)]
        images = pair[0].add_(pair[1]).add_(1).bitwise_right_shift_(1).byte()
    return images


@cache
def _boxes(length: int, factor: float) -> tuple[Tensor, Tensor]:
    """Return the first and last source pixel of the box that every pixel of the result shows."""
    small = int(length * factor)
    width = length / small
    shown = [math.floor((place + 0.5) * small / length) for place in range(length)]
    low = [int(box * width + 0.5) for box in shown]
    high = [int((box + 1) * width + 0.5) - 1 for box in shown]
    return torch.tensor(low), torch.tensor(high)


JPEG_QUALITY = (80, 65, 58, 50, 40)


@corruption("jpeg_compression", "digital", group="common", deterministic=True)
def jpeg_compression(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Encode and decode every image by Pillow, at the given quality."""
    quality = JPEG_QUALITY[severity - 1]
    decoded = np.stack([_saved_and_read(image, quality) for image in images.cpu().numpy()])
    return torch.from_numpy(decoded).to(images.device)


def _saved_and_read(image: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    file = io.BytesIO()
    clean = Image.fromarray(image)
    clean.save(file, "JPEG", quality=quality)
    # The decoder alone: `Image.open` would read the header a second time, a third of the whole work.
    return np.asarray(Image.frombytes("RGB", clean.size, file.getvalue(), "jpeg", "RGB", ""))


SATURATE_GAIN_AND_OFFSET = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))


@corruption("saturate", "digital", group="extra", deterministic=True)
def saturate(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Replace S of HSV by gain · S + offset, clipped to 0..1; hue and value stay.

    Grey has hue 0 there, which is red: an offset makes it reddish.
    """
    gain, offset = SATURATE_GAIN_AND_OFFSET[severity - 1]
    value, saturation, depth = hsv_parts(images)
    changed = saturation.mul_(gain).add_(offset).clamp_(0, 1)
    return to_images((1 - depth.mul_(changed)).mul_(value).mul_(255))
