"""The blur family: defocus, glass, motion, zoom and Gaussian blur."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.kernels import (
    add_taps,
    add_zoomed,
    blurred_across,
    blurred_down,
    copy_around,
    disk_sums,
    mirror_around,
    soften,
)
from winninghand.corruptions.parameters import (
    DEFOCUS,
    GAUSSIAN_BLUR_SIGMA,
    GLASS,
    MOTION,
    ZOOMS,
    Disk,
    Glass,
    Setting,
    Streak,
    Zooms,
)
from winninghand.corruptions.planes import (
    extended,
    gaussian_blurred,
    gaussian_kernel,
    gaussian_radius,
    mirrored_101,
    replicated,
    streaked,
    to_images,
    to_planes,
    zoom_matrix,
    zoom_places,
)

NEGLIGIBLE = 1e-12
# What the edge of the grid adds to a weight is a larger share of it, and rounding a smaller one.
EDGE = 1e-5
# A chain of copies of 2⁶ steps has odds below 2⁻⁶⁴.
DOUBLINGS = 6


@corruption("defocus_blur", "blur", group="common", deterministic=True, table=DEFOCUS)
def defocus_blur(images: Tensor, setting: Setting[Disk], _: CounterRNG) -> Tensor:
    """Correlate with a disk of the given radius, its rim blurred by a small Gaussian against aliasing."""
    radius, rim = setting.values.radius * setting.scale, setting.values.rim
    if images.device.type == "cpu" and radius >= 2:
        return _out_of_focus(images, radius, rim)
    kernel = _softened_disk(radius, rim)
    reach = len(kernel) // 2
    planes = to_planes(images, torch.float64)
    padded = extended(extended(planes, reach, mirrored_101, -2), reach, mirrored_101, -1)
    result = torch.zeros_like(planes)
    height, width = planes.shape[-2:]
    for row, weights in enumerate(kernel):
        for column, weight in enumerate(weights):
            if weight > NEGLIGIBLE:
                result += padded[..., row : row + height, column : column + width] * weight
    return to_images(result)


@cache
def _softened_disk(radius: float, rim: float) -> list[list[float]]:
    """Return the square kernel, in float32 as the benchmark has it: rounding there decides ties.

    The Gaussian spans 3 × 3 pixels, 5 × 5 beyond a radius of 8. It reflects at the edge of the grid, so
    that a disk which touches the edge has a sum above 1: the benchmark brightens the image by 1%.
    """
    reach, half = (8, 1) if radius <= 8 else (math.floor(radius), 2)
    places = torch.arange(-reach, reach + 1)
    disk = (places[:, None] ** 2 + places**2 <= radius**2).float()
    disk /= disk.sum()
    weights = torch.tensor(gaussian_kernel(rim, half), dtype=torch.float32).tolist()
    for _ in range(2):
        padded = extended(disk, half, mirrored_101, 0)
        parts = [
            weight * padded[half + row :][: len(disk)]
            for row, weight in zip(range(half, -half - 1, -1), weights, strict=True)
        ]
        disk = sum(parts[1:], parts[0]).T
    used = (disk.amax(0) > NEGLIGIBLE).nonzero().flatten()
    first, last = int(used[0]), int(used[-1]) + 1
    kernel: list[list[float]] = disk[first:last, first:last].tolist()
    return kernel


class _Runs(NamedTuple):
    """A softened disk as runs along its rows, a blur of them, and what the edge of the grid adds."""

    halves: npt.NDArray[np.int64]
    blur: npt.NDArray[np.float64]
    down: npt.NDArray[np.int64]
    across: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


@cache
def _runs(radius: float, rim: float) -> _Runs:
    kernel = torch.tensor(_softened_disk(radius, rim), dtype=torch.float64)
    whole, half = math.floor(radius), 1 if radius <= 8 else 2
    places = torch.arange(-whole - half, whole + half + 1)
    disk = (places[:, None] ** 2 + places**2 <= radius**2).double()
    blur = torch.tensor(gaussian_kernel(rim, half), dtype=torch.float64)
    full = functional.conv2d(disk[None, None], torch.outer(blur, blur)[None, None], padding=half)[0, 0]
    margin = (len(full) - len(kernel)) // 2
    known = functional.pad(kernel, (margin,) * 4)
    # Inside, both are the disk blurred, up to the rounding of single precision: its sum is kept.
    level = known[whole + half, whole + half] / full[whole + half, whole + half]
    rest = known - full * level
    rest *= rest.abs() > EDGE * level
    level *= (known.sum() - rest.sum()) / (full.sum() * level)
    down, across = rest.nonzero(as_tuple=True)
    # Four taps are added at a time: some without weight make up the number.
    filled = (0, -len(down) % 4)
    halves = (disk.sum(1)[half : len(disk) - half].long() - 1) // 2
    return _Runs(
        halves.numpy(),
        (blur * level.sqrt()).numpy(),
        functional.pad(down, filled).numpy(),
        functional.pad(across, filled).numpy(),
        functional.pad(rest[down, across].float(), filled).numpy(),
    )


def _out_of_focus(images: Tensor, radius: float, rim: float) -> Tensor:
    """Return images correlated with a large disk, in the time of its rows and not of its pixels."""
    runs = _runs(radius, rim)
    whole, half = len(runs.halves) // 2, len(runs.blur) // 2
    (count, height, width, channels), reach = images.shape, whole + half
    planes = count * channels
    padded = torch.empty(planes, height + 2 * reach, width + 2 * reach)
    mirror_around(images.contiguous().numpy(), reach, padded.numpy())
    sums = torch.empty(planes, height + 2 * half, width + 2 * half, dtype=torch.float64)
    disk_sums(padded.numpy(), runs.halves, sums.numpy())
    narrow = torch.empty(planes, height, width + 2 * half, dtype=torch.float64)
    blurred_down(sums.numpy(), runs.blur, narrow.numpy())
    result = torch.empty(planes, height, width, dtype=torch.float64)
    blurred_across(narrow.numpy(), runs.blur, result.numpy())
    if len(runs.weights):
        add_taps(padded.numpy(), runs.down, runs.across, runs.weights, result.numpy())
    return to_images(result.view(count, channels, height, width))


@corruption("glass_blur", "blur", group="common", table=GLASS)
def glass_blur(images: Tensor, setting: Setting[Glass], rng: CounterRNG) -> Tensor:
    """Blur, copy every pixel from up to `reach` pixels around, and blur again."""
    sigma, reach, rounds = setting.values
    sigma, reach = sigma * setting.scale, max(1, round(reach * setting.scale))
    images = softened(images, sigma)
    for _ in range(rounds):
        images = displaced(images, rng.integers(2 * reach, 2, *images.shape[1:3]), reach)
    return softened(images, sigma)


def displaced(images: Tensor, drawn: Tensor, reach: int) -> Tensor:
    """Return images (N, H, W, 3), each pixel copied from `reach` − 1 − `drawn` rows below and columns after.

    `drawn` is int64 (N, 2, H, W) in 0 .. 2 · reach − 1; the first reach + 1 rows and columns stay, and the
    last reach − 1. The benchmark means to swap pixels and, through views of one array, only copies them,
    from the last pixel to the first. A source that comes later has been copied to already, so that what
    is copied is what came there: a chain, which ends at the first source that comes before.
    """
    if images.device.type == "cpu":
        copied = images.clone(memory_format=torch.contiguous_format)
        copy_around(copied.numpy(), drawn.numpy(), reach)
        return copied
    count, height, width, _ = images.shape
    rows, columns = (torch.arange(length, device=images.device) for length in (height, width))
    moving = (
        ((rows > reach) & (rows <= height - reach))[:, None] & (columns > reach) & (columns <= width - reach)
    )
    down, across = (reach - 1 - drawn).unbind(1)
    own = torch.arange(count * height * width, device=images.device)
    source = own + ((down * width + across) * moving).flatten()
    if reach > 1:
        last = torch.where(source > own, source, own)
        for _ in range(DOUBLINGS):
            last = last.index_select(0, last)
        source = source.index_select(0, last)
    return images.reshape(-1, 3).index_select(0, source).view_as(images)


STEEPEST_MOTION = 45


@corruption("motion_blur", "blur", group="common", table=MOTION)
def motion_blur(images: Tensor, setting: Setting[Streak], rng: CounterRNG) -> Tensor:
    """Smear every image along a line of its own, up to 45 degrees from the horizontal."""
    radius, sigma = (length * setting.scale for length in setting.values)
    angles = rng.uniform().double().mul_(2 * STEEPEST_MOTION).sub_(STEEPEST_MOTION)
    return streaked(images, angles, radius, sigma)


# Rounding must not take a constant area one level down.
TIE = 1e-6


@corruption("zoom_blur", "blur", group="common", deterministic=True, table=ZOOMS)
def zoom_blur(images: Tensor, setting: Setting[Zooms], _: CounterRNG) -> Tensor:
    """Average the image, once more, with all its zooms."""
    planes = to_planes(images, torch.float64)
    height, width = planes.shape[-2:]
    if images.device.type == "cpu":
        reading, itself = _zoom_places(height, width, setting.values)
        total = planes * itself
        source, result = (part.view(-1, height, width).numpy() for part in (planes, total))
        add_zoomed(source, *reading, result)
        return to_images(total.div_(itself + len(reading.rows)).add_(TIE))
    down, across = _summed_zooms(height, width, setting.values)
    zoomed = (planes @ across.to(planes.device)).view(*planes.shape[:2], -1, width)
    return to_images((down.to(planes.device) @ zoomed).add_(TIE))


class _Reading(NamedTuple):
    """Behind which row and column each one of a zoom lies, and how far: (zooms, H) and (zooms, W)."""

    rows: npt.NDArray[np.int64]
    row_shares: npt.NDArray[np.float64]
    columns: npt.NDArray[np.int64]
    column_shares: npt.NDArray[np.float64]


def _factors(zooms: Zooms) -> list[float]:
    # NumPy's own range: its rounding decides whether the end belongs to it, and ties in the sizes.
    factors: list[float] = np.arange(1, zooms.end, zooms.step).tolist()
    return factors


@lru_cache(maxsize=16)
def _zoom_places(height: int, width: int, zooms: Zooms) -> tuple[_Reading, int]:
    """Return where each zoom but those that change nothing reads, and how often the image itself counts."""
    factors = _factors(zooms)
    read = [(*zoom_places(height, factor), *zoom_places(width, factor)) for factor in factors]
    real = [one for one in read if one[1].any() or one[3].any()] or read[:1]
    places = (torch.stack(part).numpy() for part in zip(*real, strict=True))
    return _Reading(*places), 1 + len(factors) - len(real)


@lru_cache(maxsize=16)
def _summed_zooms(height: int, width: int, zooms: Zooms) -> tuple[Tensor, Tensor]:
    """Return what takes an image X to the mean of A X Bᵀ over its zooms, as two matrices.

    The first (H, H · Z) holds the A of Z different zooms side by side, weighted by how often each
    occurs; the second (W, Z · W) their B.
    """
    factors = [1.0, *_factors(zooms)]
    pairs = [(zoom_matrix(height, factor), zoom_matrix(width, factor)) for factor in factors]
    keys = [(down.numpy().tobytes(), across.numpy().tobytes()) for down, across in pairs]
    different = dict(zip(keys, pairs, strict=True))
    often = Counter(keys)
    down = torch.stack([pair[0] * often[key] / len(factors) for key, pair in different.items()], -1)
    across = torch.cat([pair[1].T for pair in different.values()], 1)
    return down.flatten(1), across


@corruption("gaussian_blur", "blur", group="extra", deterministic=True, table=GAUSSIAN_BLUR_SIGMA, lean=True)
def gaussian_blur(images: Tensor, setting: Setting[float], _: CounterRNG) -> Tensor:
    """Blur with a Gaussian, the edge pixels replicated."""
    return softened(images, setting.values * setting.scale)


def softened(images: Tensor, sigma: float) -> Tensor:
    """Return uint8 (N, H, W, 3) blurred by `sigma` pixels, truncated to whole levels."""
    radius = gaussian_radius(sigma)
    if images.device.type == "cpu" and radius < max(images.shape[1:3]):
        result = torch.empty(images.shape, dtype=torch.uint8)
        soften(images.contiguous().numpy(), np.array(gaussian_kernel(sigma, radius)), result.numpy())
        return result
    planes = to_planes(images, torch.float64).div_(255)
    return to_images(gaussian_blurred(planes, sigma, replicated).mul_(255))
