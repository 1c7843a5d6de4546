"""Colour planes, and what several corruptions do with them: blurs, streaks, zooms, and HSV.

Planes are blurred as sums of shifted planes rather than by a convolution routine: every value is
the same sum in the same order whatever the batch. The order is the benchmark's, which decides ties
before truncation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from winninghand.corruptions.kernels import blurred_across, blurred_down, smeared

Border = Callable[[Tensor, int], Tensor]

# A tap of a streak that weighs less changes no level.
NEGLIGIBLE = 1e-9


def to_planes(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return uint8 (N, H, W, 3) as contiguous planes (N, 3, H, W) of `dtype`, in levels 0..255."""
    return images.permute(0, 3, 1, 2).to(dtype, memory_format=torch.contiguous_format)


def to_images(planes: Tensor) -> Tensor:
    """Return planes as uint8 (N, H, W, 3), clamped to 0..255 and truncated; `planes` is overwritten.

    Truncated, not rounded: so does the benchmark, whose float results are cast with `np.uint8`.
    """
    return planes.clamp_(0, 255).byte().permute(0, 2, 3, 1)


def pixel_places(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows (H, 1) and columns (W,) of the pixels, float64."""
    _, height, width, _ = images.shape
    rows = torch.arange(height, dtype=torch.float64, device=images.device)[:, None]
    return rows, torch.arange(width, dtype=torch.float64, device=images.device)


def gaussian_kernel(sigma: float, radius: int) -> list[float]:
    """Return the sampled Gaussian at −radius .. radius, normalised to sum 1."""
    places = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / sigma**2 * places**2)
    kernel: list[float] = (weights / weights.sum()).tolist()
    return kernel


def gaussian_radius(sigma: float, truncate: float = 4.0) -> int:
    """Return how many pixels a Gaussian reaches that is cut at `truncate` standard deviations."""
    return int(truncate * sigma + 0.5)


def gaussian_blurred(planes: Tensor, sigma: float, border: Border, truncate: float = 4.0) -> Tensor:
    """Return planes (…, H, W) blurred along both axes, the kernel cut at `truncate` standard deviations."""
    radius = gaussian_radius(sigma, truncate)
    if radius == 0:
        return planes
    if radius >= max(planes.shape[-2:]):
        down, across = (_blurring(length, sigma, border, truncate).to(planes) for length in planes.shape[-2:])
        return down @ planes @ across.T
    kernel = gaussian_kernel(sigma, radius)
    if planes.device.type == "cpu":
        return _blurred_by_loops(planes, kernel, border)
    for axis in (-2, -1):
        length = planes.shape[axis]
        padded = extended(planes, radius, border, axis)
        planes = planes * kernel[radius]
        # From the outside inwards, as SciPy adds: the order decides ties before truncation.
        for reach in range(radius, 0, -1):
            pair = padded.narrow(axis, radius - reach, length) + padded.narrow(axis, radius + reach, length)
            planes += pair.mul_(kernel[radius - reach])
    return planes


def _blurred_by_loops(planes: Tensor, kernel: list[float], border: Border) -> Tensor:
    radius, shape = len(kernel) // 2, planes.shape
    flat = planes.reshape(-1, *shape[-2:])
    weights = torch.tensor(kernel, dtype=planes.dtype).numpy()
    for axis, loop in ((-2, blurred_down), (-1, blurred_across)):
        padded = extended(flat, radius, border, axis).contiguous().numpy()
        flat = torch.empty(flat.shape, dtype=planes.dtype)
        loop(padded, weights, flat.numpy())
    return flat.view(shape)


@lru_cache(maxsize=16)
def _blurring(length: int, sigma: float, border: Border, truncate: float) -> Tensor:
    """Return the matrix float64 (length, length) of a blur that is wider than the axis is long."""
    radius = gaussian_radius(sigma, truncate)
    kernel = torch.tensor(gaussian_kernel(sigma, radius), dtype=torch.float64)
    rows = torch.arange(length)[:, None]
    sources = border(rows + torch.arange(-radius, radius + 1), length)
    matrix = torch.zeros(length, length, dtype=torch.float64)
    return matrix.scatter_add_(1, sources, kernel.expand(length, -1))


def extended(planes: Tensor, radius: int, border: Border, axis: int) -> Tensor:
    """Return planes with `radius` more pixels at both ends of one axis, taken as the border says."""
    length = planes.shape[axis]
    places = torch.arange(-radius, length + radius, device=planes.device)
    return planes.index_select(axis, border(places, length))


def replicated(places: Tensor, length: int) -> Tensor:
    """Return places on an axis moved to the nearest of 0 .. length − 1."""
    return places.clamp(0, length - 1)


def mirrored(places: Tensor, length: int) -> Tensor:
    """Return places on an axis folded into 0 .. length − 1, the edges repeated (half-sample symmetry)."""
    folded = places.remainder(2 * length)
    return torch.minimum(folded, 2 * length - 1 - folded)


def mirrored_101(places: Tensor, length: int) -> Tensor:
    """Return places on an axis folded into 0 .. length − 1, the edges not repeated."""
    period = 2 * (length - 1)
    folded = places.remainder(period)
    return torch.minimum(folded, period - folded)


def streaked(images: Tensor, angles: Tensor, radius: float, sigma: float) -> Tensor:
    """Return uint8 (N, H, W, C) smeared along a line, as `MotionBlurImage` with 16-bit quanta does.

    `angles` is float64 (N,), in degrees. The taps i = 0 .. 2⌈radius⌉ weigh exp(−i²/2σ²), one-sided,
    and lie on the pixel nearest to (i cos t, i sin t); the border is replicated. The result is
    rounded to 16 bits and cut to 8.
    """
    weights = _one_sided_weights(radius, sigma)
    taps = torch.arange(len(weights), device=images.device)
    turned = angles.double().deg2rad()[:, None]
    across = (taps * turned.cos() - 0.5).ceil().long()
    down = (taps * turned.sin() - 0.5).ceil().long()

    count, height, width, channels = images.shape
    reach = len(weights) - 1
    padded = extended(extended(images, reach, replicated, 1), reach, replicated, 2)
    if images.device.type == "cpu":
        result = torch.empty(images.shape, dtype=torch.uint8)
        lines = padded.float().flatten(2).numpy()
        smeared(lines, down.numpy(), across.numpy(), np.array(weights), reach, result.numpy())
        return result
    flat = padded.reshape(-1, channels).double()
    stride = padded.shape[2]
    rows = torch.arange(reach, reach + height, device=images.device)[:, None]
    columns = torch.arange(reach, reach + width, device=images.device)
    first = torch.arange(count, device=images.device) * padded.shape[1] * stride
    pixels = (first[:, None, None] + rows * stride + columns).view(count, -1)

    total = torch.zeros(count * height * width, channels, dtype=torch.float64, device=images.device)
    for tap, weight in enumerate(weights):
        source = pixels + (down[:, tap] * stride + across[:, tap])[:, None]
        total += flat.index_select(0, source.flatten()).mul_(weight)
    return total.mul_(257).add_(0.5).floor_().div_(257).byte().view_as(images)


def _one_sided_weights(radius: float, sigma: float) -> list[float]:
    """Return the normalised weights of the taps from 0 on, without the tail that changes nothing."""
    weights = [math.exp(-(tap**2) / (2 * sigma**2)) for tap in range(2 * math.ceil(radius) + 1)]
    total = sum(weights)
    return [weight / total for weight in weights if weight / total > NEGLIGIBLE]


def zoom_window(length: int, factor: float) -> slice:
    """Return the pixels in the middle of an axis that a zoom by `factor` ≥ 1 shows."""
    cropped = math.ceil(length / factor)
    first = (length - cropped) // 2
    return slice(first, first + cropped)


def zoom_places(length: int, factor: float) -> tuple[Tensor, Tensor]:
    """Return behind which pixel each one of an axis lies when zoomed by `factor` ≥ 1, and how far.

    The middle ⌈length / factor⌉ pixels are stretched to round(⌈length / factor⌉ · factor) by linear
    interpolation between aligned corners, and as many as there were are kept. Odd margins go to
    the end, so that the fixed point is not quite the centre.
    """
    first, end, _ = zoom_window(length, factor).indices(length)
    cropped = end - first
    stretched = round(cropped * factor)
    trim = (stretched - length) // 2
    place = torch.arange(trim, trim + length).double() * (cropped - 1) / max(stretched - 1, 1)
    low = place.long().clamp_(max=cropped - 2)
    return first + low, place - low


@lru_cache(maxsize=16)
def zoom_matrix(length: int, factor: float) -> Tensor:
    """Return the matrix float64 (length, length) that zooms an axis as `zoom_places` says."""
    low, share = zoom_places(length, factor)
    identity = torch.eye(length, dtype=torch.float64)
    return (1 - share[:, None]) * identity[low] + share[:, None] * identity[low + 1]


def hsv_parts(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return value and saturation, float64 (N, 1, H, W) in [0, 1], and depth (N, 3, H, W).

    A channel is value · (1 − saturation · depth): depth is 0 for the largest channel, 1 for the
    smallest. It goes through the hue as the benchmark's conversion does, since the rounding on
    that way decides ties before truncation. Grey counts as red: its depths are 0, 1, 1.
    """
    planes = to_planes(images, torch.float64).div_(255)
    value = planes.amax(1, keepdim=True)
    least = planes.amin(1, keepdim=True)
    span = value - least
    saturation = span / (value + (value == 0))
    largest, sector = _largest_and_sector(planes, value, span)
    whole = sector.floor()
    odd = whole - whole.div(2).floor_().mul_(2)
    middle = 1 - (odd - (sector - whole)).abs_()
    smallest = (planes == least).double()
    depth = (1 - largest).mul_(smallest + (1 - smallest).mul_(middle))
    return value, saturation, depth


def _largest_and_sector(planes: Tensor, value: Tensor, span: Tensor) -> tuple[Tensor, Tensor]:
    """Return which channel is the largest, 0 or 1 (N, 3, H, W), and the hue in sixths (N, 1, H, W)."""
    red, green, blue = planes.split(1, 1)
    # Masks are multiplied with: a branch on every pixel's colour would cost more than all the rest.
    coloured = (span > 0).double()
    divisor = span + (1 - coloured)
    is_blue = (blue == value) * coloured
    is_green = (green == value) * coloured * (1 - is_blue)
    is_red = 1 - is_blue - is_green
    sector = (green - blue).mul_(is_red) / divisor
    sector += ((blue - red) / divisor).add_(2).mul_(is_green)
    sector += ((red - green) / divisor).add_(4).mul_(is_blue)
    turn = sector.div_(6)
    return torch.cat([is_red, is_green, is_blue], 1), (turn - turn.floor()).mul_(6)
