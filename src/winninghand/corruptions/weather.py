"""The weather family: snow, frost, fog and brightness; spatter has a file of its own."""

from __future__ import annotations

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import (
    BENCHMARK_SIDE,
    hsv_parts,
    scale_of,
    streaked,
    to_images,
    to_planes,
    zoom_matrix,
)


class Snowfall(NamedTuple):
    """One severity: the flakes' noise, their zoom and threshold, their streaks, and the whitening."""

    mean: float
    std: float
    zoom: float
    threshold: float
    radius: float
    sigma: float
    kept: float


SNOWFALL = (
    Snowfall(0.1, 0.2, 1, 0.6, 8, 3, 0.95),
    Snowfall(0.1, 0.2, 1, 0.5, 10, 4, 0.9),
    Snowfall(0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    Snowfall(0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    Snowfall(0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
)
FIRST_ANGLE, ANGLES = -135, 90


@corruption("snow", "weather", group="common")
def snow(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Mix with a brightened grey, then add a layer of streaks and the same layer upside down."""
    snowfall = SNOWFALL[severity - 1]
    planes = to_planes(images)
    red, green, blue = planes.split(1, 1)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    whitened = torch.maximum(planes, 1.5 * grey + 0.5 * 255)
    flakes = _flakes(images, snowfall, rng).permute(0, 3, 1, 2).float()
    mixed = planes.mul_(snowfall.kept) + whitened.mul_(1 - snowfall.kept)
    return to_images(mixed.add_(flakes).add_(flakes.flip(2, 3)))


def _flakes(images: Tensor, snowfall: Snowfall, rng: CounterRNG) -> Tensor:
    """Return one layer of streaks per image, uint8 (N, H, W, 1)."""
    _, height, width, _ = images.shape
    scale = scale_of(images)
    noise = rng.normal(height, width).double().mul_(snowfall.std).add_(snowfall.mean)
    zoom = max(1.0, snowfall.zoom * scale)
    noise = zoom_matrix(height, zoom).to(noise) @ noise @ zoom_matrix(width, zoom).to(noise).T
    noise *= noise >= snowfall.threshold
    layer = noise.clamp_(max=1).mul_(255).byte()[..., None]
    angles = rng.uniform().double().mul_(ANGLES).add_(FIRST_ANGLE)
    return streaked(layer, angles, snowfall.radius * scale, snowfall.sigma * scale)


IMAGE_AND_FROST = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
TEXTURE_PACKAGE = "imagecorruptions"
TEXTURE_FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
TEXTURE_STEP = 5


class Textures(NamedTuple):
    """The photographs end to end, uint8 (pixels, 3), with each one's beginning, height and width."""

    pixels: Tensor
    beginnings: Tensor
    heights: Tensor
    widths: Tensor


def missing_textures() -> str | None:
    """Return None, or one line that says that the textures are missing and how to get them."""
    if all((_texture_folder() / name).is_file() for name in TEXTURE_FILES):
        return None
    return (
        f"frost needs the texture photographs of the package {TEXTURE_PACKAGE} (Apache License 2.0); "
        f"pip install 'winninghand[frost]', or without what that package itself needs: "
        f"pip install --no-deps {TEXTURE_PACKAGE}"
    )


@corruption("frost", "weather", group="common", unavailable=missing_textures)
def frost(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Add a random cut of one of the five textures, both weighted."""
    image_weight, frost_weight = IMAGE_AND_FROST[severity - 1]
    cut = _random_cuts(images, rng).double().mul_(frost_weight)
    return images.double().mul_(image_weight).add_(cut).clamp_(max=255).byte()


def _random_cuts(images: Tensor, rng: CounterRNG) -> Tensor:
    """Return a cut of a random texture for every image, uint8 (N, H, W, 3)."""
    _, height, width, _ = images.shape
    textures = Textures(*(part.to(images.device) for part in _textures(height, width)))
    chosen = rng.integers(len(TEXTURE_FILES))
    columns_in_all = textures.widths[chosen]
    # The last possible place is never drawn: the benchmark's upper bound is exclusive.
    top = (rng.uniform().double() * (textures.heights[chosen] - height)).long()
    left = (rng.uniform().double() * (columns_in_all - width)).long()
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    first = (textures.beginnings[chosen, None] + rows * columns_in_all[:, None])[:, :, None]
    source = (first + columns[:, None, :]).flatten()
    return textures.pixels.index_select(0, source).view_as(images)


@lru_cache(maxsize=16)
def _textures(height: int, width: int) -> Textures:
    """Return the textures thinned out for images of this size: every fifth pixel at 32 × 32."""
    thinned = [_thinned(name, height, width) for name in TEXTURE_FILES]
    heights, widths = (torch.tensor([texture.shape[axis] for texture in thinned]) for axis in (0, 1))
    ends = (heights * widths).cumsum(0)
    pixels = torch.cat([texture.reshape(-1, 3) for texture in thinned])
    return Textures(pixels, ends - heights * widths, heights, widths)


def _thinned(name: str, height: int, width: int) -> Tensor:
    """Return a texture without the pixels between the steps; it stays larger than the images."""
    with Image.open(_texture_folder() / name) as photograph:
        texture = torch.from_numpy(np.array(photograph.convert("RGB")))
    rows, columns, _ = texture.shape
    step = max(1, TEXTURE_STEP * BENCHMARK_SIDE / min(height, width))
    step = min(step, rows / (height + 1), columns / (width + 1))
    kept = [
        torch.tensor([math.floor((place + 0.5) * step) for place in range(int(length / step))])
        for length in (rows, columns)
    ]
    return texture[kept[0]][:, kept[1]]


def _texture_folder() -> Path:
    """Return where the package keeps its textures, found without importing it."""
    found = find_spec(TEXTURE_PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0] if places else TEXTURE_PACKAGE) / "frost"


FOG_STRENGTH_AND_DECAY = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))


@corruption("fog", "weather", group="common")
def fog(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Add the haze and scale back so that the brightest value of the image stays the brightest.

    The haze is drawn on the next power of two and cropped; its levels of detail are the image's.
    """
    strength, decay = FOG_STRENGTH_AND_DECAY[severity - 1]
    _, height, width, _ = images.shape
    haze = plasma(max(height, width), decay, rng)[:, None, :height, :width].mul_(255 * strength)
    planes = to_planes(images)
    brightest = planes.amax((1, 2, 3), keepdim=True)
    return to_images(planes.add_(haze).mul_(brightest / (brightest + 255 * strength)))


def plasma(side: int, decay: float, rng: CounterRNG) -> Tensor:
    """Return fractal maps float32 (N, S, S), S the next power of two, each from exactly 0 to exactly 1.

    Diamond-square on a torus (Fournier, Fussell & Carpenter 1982): every step puts in each new
    point the mean of its four neighbours and uniform noise, whose amplitude falls by decay².
    """
    amplitude = 1.0
    grid = rng.uniform(1, 1).zero_()
    while grid.shape[1] < side:
        noise = rng.uniform(3, *grid.shape[1:]).sub_(0.5).mul_(2 * amplitude)
        rows = grid + grid.roll(-1, 1)
        columns = grid + grid.roll(-1, 2)
        centre = (rows + rows.roll(-1, 2)).div_(4).add_(noise[:, 0])
        right = (columns + centre + centre.roll(1, 1)).div_(4).add_(noise[:, 1])
        below = (rows + centre + centre.roll(1, 2)).div_(4).add_(noise[:, 2])
        grid = _interleaved(torch.stack([grid, right], 3), torch.stack([below, centre], 3))
        amplitude /= decay**2
    lowest, highest = grid.amin((1, 2), keepdim=True), grid.amax((1, 2), keepdim=True)
    return grid.sub_(lowest).div_(highest - lowest)


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """Return (N, 2S, 2S) of rows (N, S, S, 2) that alternate."""
    count, side = even.shape[:2]
    return torch.stack([even, odd], 2).view(count, 2 * side, 2 * side)


BRIGHTNESS_SHIFT = (0.05, 0.1, 0.15, 0.2, 0.3)


@corruption("brightness", "weather", group="common", deterministic=True)
def brightness(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Add the shift to V of HSV, clipped to 1; hue and saturation stay."""
    value, saturation, depth = hsv_parts(images)
    brighter = value.add_(BRIGHTNESS_SHIFT[severity - 1]).clamp_(max=1)
    return to_images((1 - depth.mul_(saturation)).mul_(brighter).mul_(255))
