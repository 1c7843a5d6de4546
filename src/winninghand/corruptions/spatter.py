"""`spatter`: drops of water or mud on the lens, shaded by the distance to their edges."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.parameters import SPATTER, Setting, Splash
from winninghand.corruptions.planes import (
    extended,
    gaussian_blurred,
    mirrored_101,
    replicated,
    to_images,
    to_planes,
)
from winninghand.corruptions.spatter_kernels import (
    add_film,
    grown_edges,
    nearest_costs,
    shade,
    thin_edges,
)

WATER = (175, 238, 238)
MUD = (63, 42, 20)
THINNEST_MUD = 0.8
EDGE_THRESHOLDS = (50, 150)
FARTHEST = 20
SHADING = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))
MEAN = ((1, 1, 1), (1, 1, 1), (1, 1, 1))


@corruption("spatter", "weather", group="extra", table=SPATTER)
def spatter(images: Tensor, setting: Setting[Splash], rng: CounterRNG) -> Tensor:
    """Lay water over the image at the lower severities, mud at the upper ones."""
    splash, scale = setting.values, setting.scale
    # A blur `scale` times as wide leaves noise `scale` times as weak: the factor corrects that.
    noise = rng.normal(*images.shape[1:3]).double().mul_(splash.std * scale).add_(splash.mean)
    liquid = gaussian_blurred(noise, splash.blur * scale, replicated)
    if splash.mud:
        return muddied(images, liquid > splash.threshold, splash.level * scale)
    return watered(images, liquid * (liquid >= splash.threshold), splash.level, FARTHEST * scale)


def muddied(images: Tensor, drops: Tensor, blur: float) -> Tensor:
    """Return images covered with mud where `drops`, bool (N, H, W), are thick after a blur."""
    cover = gaussian_blurred(drops.float(), blur, replicated)
    cover = (cover * (cover >= THINNEST_MUD))[:, None]
    mud = cover.new_tensor(MUD).view(3, 1, 1)
    return to_images(to_planes(images).mul_(1 - cover).add_(cover * mud))


def watered(images: Tensor, liquid: Tensor, level: float, farthest: float) -> Tensor:
    """Return images with water of thickness `liquid`, float64 (N, H, W), 0 where there is none.

    The drops are shaded by the distance to their edges, at most `farthest` pixels, as if light fell from
    one corner.
    """
    # The benchmark's cast to 8 bits wraps; thick drops get holes.
    thickness = liquid.mul(255).int().bitwise_and_(255)
    distance = chamfer_distances(canny_edges(thickness, *EDGE_THRESHOLDS), min(farthest, 255))
    return _filmed(images, _shade(distance).mul_(thickness), level)


def _shade(distance: Tensor) -> Tensor:
    """Return the light on the drops, int32 (N, H, W) in 0..255, by their pixels' distances to the edges."""
    if distance.device.type == "cpu":
        lit = torch.empty(distance.shape, dtype=torch.int32)
        shade(distance.numpy(), lit.numpy())
        return lit
    relief = _correlated(distance.double(), MEAN).div_(9).int()
    lit = _correlated(_equalised(relief), SHADING).clamp_(0, 255)
    return _correlated(lit, MEAN).double().div_(9).round_().int()


def _filmed(images: Tensor, film: Tensor, level: float) -> Tensor:
    """Return images with a film of water, int32 (N, H, W), `level` of its colour where it is thickest."""
    if images.device.type == "cpu":
        result = torch.empty(images.shape, dtype=torch.uint8)
        add_film(images.numpy(), film.numpy(), level, np.array(WATER, np.float32), result.numpy())
        return result
    depth = (film * (level / film.amax((1, 2), keepdim=True).clamp_(min=1).double())).float()
    water = depth.new_tensor(WATER).view(3, 1, 1)
    return to_images(to_planes(images).add_(depth[:, None] * water))


def _correlated(planes: Tensor, kernel: tuple[tuple[int, ...], ...]) -> Tensor:
    """Return planes (N, H, W) correlated with a 3 × 3 kernel, the border reflected."""
    height, width = planes.shape[-2:]
    padded = extended(extended(planes, 1, mirrored_101, -1), 1, mirrored_101, -2)
    result = torch.zeros_like(planes)
    for row, weights in enumerate(kernel):
        for column, weight in enumerate(weights):
            if weight:
                result.add_(padded[:, row : row + height, column : column + width], alpha=weight)
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


# OpenCV compares directions in fixed point of 15 bits; this is tan 22.5°.
TANGENT = round(0.41421356237309505 * 2**15)


def canny_edges(layer: Tensor, low: int, high: int) -> Tensor:
    """Return where edges are, bool (N, H, W), of whole levels int32 (N, H, W) (Canny 1986).

    Sobel gradients with a replicated border and the magnitude |dx| + |dy|; a thinned edge pixel
    counts above `high`, or above `low` where it hangs together with one that counts.
    """
    if layer.device.type == "cpu":
        thin, strong = (torch.empty(layer.shape, dtype=torch.bool) for _ in range(2))
        thin_edges(layer.numpy(), low, high, TANGENT, thin.numpy(), strong.numpy())
        grown_edges(strong.numpy(), thin.numpy())
        return strong
    across, down = _sobel(layer)
    magnitude = across.abs() + down.abs()
    thin = _is_peak(magnitude, across, down) & (magnitude > low)
    return _grown(thin & (magnitude > high), thin)


def _sobel(layer: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives along the columns and along the rows, each (N, H, W)."""
    padded = extended(extended(layer, 1, replicated, -1), 1, replicated, -2)
    upper, middle, lower = (_window(padded, row, slice(None)) for row in range(3))
    smooth = upper + 2 * middle + lower
    step = lower - upper
    across = smooth[..., 2:] - smooth[..., :-2]
    return across, step[..., :-2] + 2 * step[..., 1:-1] + step[..., 2:]


def _window(padded: Tensor, row: int, columns: slice) -> Tensor:
    """Return the rows of a padded plane that are shifted by `row` − 1."""
    return padded[..., row : padded.shape[-2] - 2 + row, columns]


def _is_peak(magnitude: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Return where the magnitude is largest along the gradient; outside the image it is 0."""
    height, width = magnitude.shape[-2:]
    padded = functional.pad(magnitude, (1, 1, 1, 1))

    def neighbour(row: int, column: int) -> Tensor:
        return padded[..., 1 + row : 1 + row + height, 1 + column : 1 + column + width]

    level = across.abs() * TANGENT
    steep = down.abs() * 2**15
    along_row = (magnitude > neighbour(0, -1)) & (magnitude >= neighbour(0, 1))
    along_column = (magnitude > neighbour(-1, 0)) & (magnitude >= neighbour(1, 0))
    falling = (magnitude > neighbour(-1, -1)) & (magnitude > neighbour(1, 1))
    rising = (magnitude > neighbour(-1, 1)) & (magnitude > neighbour(1, -1))
    slanted = torch.where((across ^ down) < 0, rising, falling)
    upright = torch.where(steep > level + across.abs() * 2**16, along_column, slanted)
    return torch.where(steep < level, along_row, upright)


def _grown(strong: Tensor, allowed: Tensor) -> Tensor:
    """Return all of `allowed` that hangs together with `strong`, diagonals included."""
    while True:
        near = functional.max_pool2d(strong[:, None].float(), 3, stride=1, padding=1)[:, 0] > 0
        grown = near & allowed
        if torch.equal(grown, strong):
            return strong
        strong = grown


# What a step costs to the side, diagonally, and like a chess knight (Borgefors 1986).
STRAIGHT, DIAGONAL, KNIGHT = 1.0, 1.4, 2.1969


def chamfer_distances(marked: Tensor, largest: float) -> Tensor:
    """Return float32 (N, H, W): each pixel's distance to the nearest of `marked`, at most `largest`.

    For a given number of rows between them, the nearest marked pixel of a row is also the cheapest
    to reach; so it is enough to know that one in each row, and to compare the rows.
    """
    height = marked.shape[1]
    result = torch.full(marked.shape, largest, dtype=torch.float32, device=marked.device)
    if marked.device.type == "cpu":
        farthest = min(int(largest), height - 1)
        table = torch.stack([_costs(rows, marked.shape[2]) for rows in range(farthest + 1)])
        nearest_costs(marked.numpy(), table.numpy(), largest, result.numpy())
        return result
    beside = _distances_in_row(marked)
    for rows in range(min(int(largest), height - 1) + 1):
        costs = _costs(rows, marked.shape[2]).to(marked.device)
        reached = costs.index_select(0, beside.flatten()).view_as(result)
        kept = height - rows
        result[:, :kept] = torch.minimum(result[:, :kept], reached[:, rows:])
        result[:, rows:] = torch.minimum(result[:, rows:], reached[:, :kept])
    return result


def _distances_in_row(marked: Tensor) -> Tensor:
    """Return how many columns away the nearest marked pixel of a row is, int64, W where there is none."""
    width = marked.shape[2]
    columns = torch.arange(width, device=marked.device)
    before = torch.where(marked, columns, -width).cummax(2).values
    after = torch.where(marked, columns, 2 * width).flip(2).cummin(2).values.flip(2)
    return torch.minimum(columns - before, after - columns).clamp_(max=width)


@cache
def _costs(rows: int, width: int) -> Tensor:
    """Return the cost of going `rows` down and 0 .. W − 1 columns aside; the last entry, W, is infinite."""
    aside = torch.arange(width).float()
    far, near = aside.clamp(min=rows), aside.clamp(max=rows)
    flat = (far - 2 * near) * STRAIGHT + near * KNIGHT
    steep = (2 * near - far) * DIAGONAL + (far - near) * KNIGHT
    return torch.cat([torch.where(far >= 2 * near, flat, steep), torch.tensor([torch.inf])])
