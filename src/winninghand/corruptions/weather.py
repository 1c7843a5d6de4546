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
from winninghand.corruptions.parameters import (
    BRIGHTNESS_SHIFT,
    FOG,
    FROST,
    SIDES,
    SNOW,
    Fog,
    Frost,
    Setting,
    Snowfall,
)
from winninghand.corruptions.planes import (
    hsv_parts,
    streaked,
    to_images,
    to_planes,
    zoom_matrix,
    zoom_window,
)
from winninghand.corruptions.plasma import add_haze, plasma

FIRST_ANGLE, ANGLES = -135, 90


@corruption("snow", "weather", group="common", table=SNOW)
def snow(images: Tensor, setting: Setting[Snowfall], rng: CounterRNG) -> Tensor:
    """Mix with a brightened grey, then add a layer of streaks and the same layer upside down."""
    planes = to_planes(images)
    red, green, blue = planes.split(1, 1)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    whitened = torch.maximum(planes, 1.5 * grey + 0.5 * 255)
    flakes = _flakes(images, setting, rng).permute(0, 3, 1, 2).float()
    mixed = planes.mul_(setting.values.kept) + whitened.mul_(1 - setting.values.kept)
    return to_images(mixed.add_(flakes).add_(flakes.flip(2, 3)))


def _flakes(images: Tensor, setting: Setting[Snowfall], rng: CounterRNG) -> Tensor:
    """Return one layer of streaks per image, uint8 (N, H, W, 1)."""
    _, height, width, _ = images.shape
    snowfall, scale = setting.values, setting.scale
    zoom = max(1.0, snowfall.zoom * scale)
    down, across = (zoom_window(length, zoom) for length in (height, width))
    noise = rng.normal(height, width, window=(down, across)).double().mul_(snowfall.std).add_(snowfall.mean)
    vertical, horizontal = (
        zoom_matrix(length, zoom)[:, part].to(noise) for length, part in ((height, down), (width, across))
    )
    noise = vertical @ noise @ horizontal.T
    noise *= noise >= snowfall.threshold
    layer = noise.clamp_(max=1).mul_(255).byte()[..., None]
    angles = rng.uniform().double().mul_(ANGLES).add_(FIRST_ANGLE)
    return streaked(layer, angles, snowfall.radius * scale, snowfall.sigma * scale)


TEXTURE_PACKAGE = "imagecorruptions"
TEXTURE_FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
# How many pixels of a photograph lie between two of a texture, at the set's own size.
TEXTURE_STEP = {"cifar10-c": 5.0, "tiny-imagenet-c": 1 / 0.3, "imagenet-c": 1.0}


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


@corruption("frost", "weather", group="common", unavailable=missing_textures, table=FROST)
def frost(images: Tensor, setting: Setting[Frost], rng: CounterRNG) -> Tensor:
    """Add a random cut of one of the five textures, both weighted."""
    cut = _random_cuts(images, setting, rng).double().mul_(setting.values.ice)
    return images.double().mul_(setting.values.image).add_(cut).clamp_(max=255).byte()


def _random_cuts(images: Tensor, setting: Setting[Frost], rng: CounterRNG) -> Tensor:
    """Return a cut of a random texture for every image, uint8 (N, H, W, 3)."""
    _, height, width, _ = images.shape
    textures = Textures(*(part.to(images.device) for part in _textures(height, width, setting.published)))
    chosen = rng.integers(len(TEXTURE_FILES))
    columns_in_all = textures.widths[chosen]
    # The last possible place is never drawn: the benchmark's upper bound is exclusive.
    top = rng.integers(textures.heights[chosen] - height)
    left = rng.integers(columns_in_all - width)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    first = (textures.beginnings[chosen, None] + rows * columns_in_all[:, None])[:, :, None]
    source = (first + columns[:, None, :]).flatten()
    return textures.pixels.index_select(0, source).view_as(images)


@lru_cache(maxsize=16)
def _textures(height: int, width: int, published: str) -> Textures:
    """Return the textures at the size that they have for images of this size."""
    resized = [_resized(name, height, width, published) for name in TEXTURE_FILES]
    heights, widths = (torch.tensor([texture.shape[axis] for texture in resized]) for axis in (0, 1))
    ends = (heights * widths).cumsum(0)
    pixels = torch.cat([texture.reshape(-1, 3) for texture in resized])
    return Textures(pixels, ends - heights * widths, heights, widths)


def _resized(name: str, height: int, width: int, published: str) -> Tensor:
    """Return a texture whose pixels are a step apart; it stays larger than the images.

    By the nearest pixels for CIFAR-10-C's, bilinear without antialiasing for the others'.
    """
    with Image.open(_texture_folder() / name) as photograph:
        texture = torch.from_numpy(np.array(photograph.convert("RGB")))
    rows, columns, _ = texture.shape
    step = TEXTURE_STEP[published] * SIDES[published] / min(height, width)
    if published == "cifar10-c":
        step = max(1, step)
    step = min(step, rows / (height + 1), columns / (width + 1))
    if published == "cifar10-c":
        kept = [
            torch.tensor([math.floor((place + 0.5) * step) for place in range(int(length / step))])
            for length in (rows, columns)
        ]
        return texture[kept[0]][:, kept[1]]
    if step == 1:
        return texture
    down, across = (_between_pixels(length, step) for length in (rows, columns))
    resized = torch.einsum("ij,jkc,lk->ilc", down, texture.double(), across)
    return resized.add_(0.5).floor_().byte()


def _between_pixels(length: int, step: float) -> Tensor:
    """Return the matrix float64 (⌊length / step⌉, length) that reads an axis at places a step apart."""
    places = torch.arange(max(1, round(length / step))).double().add_(0.5).mul_(step).sub_(0.5)
    places = places.clamp_(0, length - 1)
    low = places.long().clamp_(max=length - 2)
    share = (places - low)[:, None]
    identity = torch.eye(length, dtype=torch.float64)
    return (1 - share) * identity[low] + share * identity[low + 1]


def _texture_folder() -> Path:
    """Return where the package keeps its textures, found without importing it."""
    found = find_spec(TEXTURE_PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0] if places else TEXTURE_PACKAGE) / "frost"


@corruption("fog", "weather", group="common", table=FOG)
def fog(images: Tensor, setting: Setting[Fog], rng: CounterRNG) -> Tensor:
    """Add the haze and scale back so that the brightest value of the image stays the brightest.

    The haze is drawn on the next power of two and cropped; its levels of detail are the image's.
    """
    strength, decay = setting.values
    _, height, width, _ = images.shape
    haze = plasma(max(height, width), decay, rng)
    if images.device.type == "cpu":
        result = torch.empty(images.shape, dtype=torch.uint8)
        add_haze(images.numpy(), haze.numpy(), 255 * strength, result.numpy())
        return result
    haze = haze[:, None, :height, :width].mul_(255 * strength)
    planes = to_planes(images)
    brightest = planes.amax((1, 2, 3), keepdim=True)
    return to_images(planes.add_(haze).mul_(brightest / (brightest + 255 * strength)))


@corruption("brightness", "weather", group="common", deterministic=True, table=BRIGHTNESS_SHIFT)
def brightness(images: Tensor, setting: Setting[float], _: CounterRNG) -> Tensor:
    """Add the shift to V of HSV, clipped to 1; hue and saturation stay."""
    value, saturation, depth = hsv_parts(images)
    brighter = value.add_(setting.values).clamp_(max=1)
    return to_images((1 - depth.mul_(saturation)).mul_(brighter).mul_(255))
