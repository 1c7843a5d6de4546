"""`spatter`: drops of water or mud on the lens."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.filters import extended, gaussian_blurred, mirrored_101, replicated
from winninghand.corruptions.planes import scale_of, to_images, to_planes
from winninghand.corruptions.weather.distances import chamfer_distances
from winninghand.corruptions.weather.edges import canny_edges


class Splash(NamedTuple):
    """One severity: the noise the drops come from, its blur and threshold, and the drops' own level."""

    mean: float
    std: float
    blur: float
    threshold: float
    level: float
    mud: bool


SPLASH = (
    Splash(0.62, 0.1, 0.7, 0.7, 0.5, mud=False),
    Splash(0.65, 0.1, 0.8, 0.7, 0.5, mud=False),
    Splash(0.65, 0.3, 1, 0.69, 0.5, mud=False),
    Splash(0.65, 0.1, 0.7, 0.69, 0.6, mud=True),
    Splash(0.65, 0.1, 0.5, 0.68, 0.6, mud=True),
)
WATER = (175, 238, 238)
MUD = (63, 42, 20)
THINNEST_MUD = 0.8
EDGE_THRESHOLDS = (50, 150)
FARTHEST = 20
SHADING = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))
MEAN = ((1, 1, 1), (1, 1, 1), (1, 1, 1))


@corruption("spatter", "weather", group="extra")
def spatter(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Lay water over the image at severities 1 to 3, mud at 4 and 5."""
    splash = SPLASH[severity - 1]
    scale = scale_of(images)
    # A blur `scale` times as wide leaves noise `scale` times as weak: that is made good here.
    noise = rng.normal(*images.shape[1:3]).double().mul_(splash.std * scale).add_(splash.mean)
    liquid = gaussian_blurred(noise, splash.blur * scale, replicated)
    if splash.mud:
        return muddied(images, liquid > splash.threshold, splash.level * scale)
    return watered(images, liquid * (liquid >= splash.threshold), splash.level)


def muddied(images: Tensor, drops: Tensor, blur: float) -> Tensor:
    """Return images covered with mud where `drops`, bool (N, H, W), are thick after a blur."""
    cover = gaussian_blurred(drops.float(), blur, replicated)
    cover = (cover * (cover >= THINNEST_MUD))[:, None]
    mud = cover.new_tensor(MUD).view(3, 1, 1)
    return to_images(to_planes(images).mul_(1 - cover).add_(cover * mud))


def watered(images: Tensor, liquid: Tensor, level: float) -> Tensor:
    """Return images with water of thickness `liquid`, float64 (N, H, W), 0 where there is none.

    The drops are shaded by the distance to their edges, as if light fell from one corner.
    """
    # The benchmark's cast to 8 bits wraps; thick drops get holes.
    thickness = liquid.mul(255).int().bitwise_and_(255)
    farthest = min(FARTHEST * scale_of(images), 255)
    distance = chamfer_distances(canny_edges(thickness, *EDGE_THRESHOLDS), farthest)
    relief = _correlated(distance.double(), MEAN).div_(9).int()
    shade = _correlated(_equalised(relief), SHADING).clamp_(0, 255)
    shade = _correlated(shade, MEAN).double().div_(9).round_()
    film = thickness * shade
    film *= level / film.amax((1, 2), keepdim=True).clamp_(min=1)
    water = film.new_tensor(WATER).view(3, 1, 1)
    return to_images(to_planes(images).add_(film[:, None] * water))


def _correlated(planes: Tensor, kernel: tuple[tuple[int, ...], ...]) -> Tensor:
    """Return planes (N, H, W) correlated with a 3 × 3 kernel, the border reflected."""
    height, width = planes.shape[-2:]
    padded = extended(extended(planes, 1, mirrored_101, -1), 1, mirrored_101, -2)
    shifted = (
        padded[:, row : row + height, column : column + width] * weight
        for row, weights in enumerate(kernel)
        for column, weight in enumerate(weights)
        if weight
    )
    result = torch.zeros_like(planes)
    for part in shifted:
        result += part
    return result


def _equalised(levels: Tensor) -> Tensor:
    """Return whole levels int32 (N, H, W) spread so that 0..255 are used evenly, as OpenCV does.

    The lowest level present goes to 0; an image of one level only stays as it is.
    """
    count, pixels = len(levels), levels[0].numel()
    flat = levels.view(count, -1).long()
    ones = torch.ones_like(flat, dtype=torch.float32)
    histogram = torch.zeros(count, 256, device=levels.device).scatter_add_(1, flat, ones)
    cumulative = histogram.cumsum(1)
    lowest = histogram.gather(1, flat.amin(1, keepdim=True))
    spread = (cumulative - lowest) * (255 / (pixels - lowest))
    constant = (lowest == pixels).expand_as(spread)
    table = torch.where(constant, torch.arange(256, device=levels.device), spread.clamp_(min=0).round_())
    return table.gather(1, flat).int().view_as(levels)
