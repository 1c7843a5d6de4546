"""The operations as Pillow defines them in tensor code, for every device but the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.augmentation.operations import Operation, affine_maps


def mix_tensors(images: Tensor, operations: Tensor, magnitudes: Tensor, shares: Tensor) -> Tensor:
    """Do what `mix_chains` does in tensor code.

    An operation is an affine map, a tone table and a blend, of which all but one change nothing:
    every chain goes through all three, so that no step waits to see which ones are needed.
    """
    count, height, width, _ = images.shape
    _, views, chains, steps = operations.shape
    maps = affine_maps(operations, magnitudes, height, width).flatten(0, 2)
    operations, magnitudes = operations.flatten(0, 2), magnitudes.flatten(0, 2)
    ends = images.repeat_interleave(views * chains, dim=0)
    for step in range(steps):
        kind, amount = operations[:, step], magnitudes[:, step]
        ends = warp(ends, maps[:, step])
        ends = look_up(ends, tone_tables(ends, kind, amount))
        ends = color_or_sharpness(ends, kind, amount)
    ends = ends.view(count, views, chains, height, width, 3).movedim(0, 2)
    portions = shares.movedim(0, 2)[..., None, None, None]
    mixtures = portions[:, 0] * images
    for chain in range(chains):
        mixtures = mixtures + portions[:, 1 + chain] * ends[:, chain]
    return mixtures.div_(255).clamp_(0, 1)


def warp(images: Tensor, maps: Tensor) -> Tensor:
    """Return uint8 (N, H, W, 3): each image read at the places its map (N, 2, 3) points to.

    As in Pillow, pixel centres lie at halves, borders are repeated for half a pixel, everything
    beyond is black, and fractions of a level are cut off.
    """
    count, height, width, _ = images.shape
    across = torch.arange(width, device=images.device, dtype=maps.dtype) + 0.5
    down = torch.arange(height, device=images.device, dtype=maps.dtype)[:, None] + 0.5
    a, b, c, d, e, f = maps.flatten(1).T[:, :, None, None]
    x = a * across + b * down + c
    y = d * across + e * down + f
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x - 0.5, y - 0.5
    left, top = x.floor(), y.floor()
    batch = torch.arange(count, device=images.device)[:, None, None]
    columns = [(left + step).long().clamp(0, width - 1) for step in (0, 1)]

    def row(vertical: Tensor) -> Tensor:
        rows = vertical.long().clamp(0, height - 1)
        first, second = (images[batch, rows, column].double() for column in columns)
        return _between(first, second, x - left)

    upper, lower = row(top), row(top + 1)
    return _between(upper, lower, y - top).mul_(inside[..., None]).byte()


def _between(start: Tensor, end: Tensor, fraction: Tensor) -> Tensor:
    # In this order, which torch.lerp leaves above a half, to the last bit as Pillow does.
    return start + (end - start) * fraction[..., None]


def tone_tables(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Return uint8 (N, 3, 256): what becomes of each level in each image uint8 (N, H, W, 3).

    Operations (N,) that are not tonal get the table that changes nothing.
    """
    levels = torch.arange(256, device=images.device)
    histograms = _histograms(images)
    amounts = magnitudes[:, None, None]
    dropped = 8 - amounts.long().clamp(0, 8)
    mean = grey(images).double().mean((1, 2)).add(0.5).floor()[:, None, None]
    tables = {
        Operation.AUTOCONTRAST: _autocontrast(histograms, levels),
        Operation.EQUALIZE: _equalize(histograms, levels),
        Operation.POSTERIZE: levels >> dropped << dropped,
        Operation.SOLARIZE: torch.where(levels < amounts, levels, 255 - levels),
        Operation.BRIGHTNESS: blend(torch.zeros_like(mean), levels, amounts),
        Operation.CONTRAST: blend(mean, levels, amounts),
    }
    chosen = levels.byte().expand(len(images), 3, 256)
    for operation, table in tables.items():
        chosen = torch.where((operations == operation)[:, None, None], table.byte(), chosen)
    return chosen


def look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Return uint8 (N, H, W, 3): the images with every level replaced by its entry in the tables."""
    entries = images.flatten(1, 2).transpose(1, 2).long()
    return tables.gather(2, entries).transpose(1, 2).reshape(images.shape)


def _histograms(images: Tensor) -> Tensor:
    entries = images.flatten(1, 2).transpose(1, 2).long()
    counts = torch.zeros(len(images), 3, 256, dtype=torch.long, device=images.device)
    return counts.scatter_add_(2, entries, torch.ones_like(entries))


def _autocontrast(histograms: Tensor, levels: Tensor) -> Tensor:
    """Stretch the levels that occur to 0..255; a channel of one level stays."""
    occurs = histograms > 0
    lowest = torch.where(occurs, levels, 255).amin(-1, keepdim=True)
    highest = torch.where(occurs, levels, 0).amax(-1, keepdim=True)
    # A number divided by a tensor would be a multiplication by its reciprocal, which rounds otherwise.
    scale = torch.full_like(lowest, 255).double() / (highest - lowest).clamp(min=1)
    stretched = (levels * scale - lowest * scale).clamp(0, 255).long()
    return torch.where(highest > lowest, stretched, levels)


def _equalize(histograms: Tensor, levels: Tensor) -> Tensor:
    """Spread the levels by their rank; a channel with too few pixels above its top level stays."""
    highest = torch.where(histograms > 0, levels, 0).amax(-1, keepdim=True)
    total = histograms.sum(-1, keepdim=True)
    step = (total - histograms.gather(-1, highest)) // 255
    below = histograms.cumsum(-1) - histograms
    spread = (step // 2 + below) // step.clamp(min=1)
    return torch.where(step > 0, spread.clamp(max=255), levels)


def blend(poorer: Tensor, images: Tensor, amounts: Tensor) -> Tensor:
    """Return uint8 poorer + amounts · (images − poorer), cut off to whole levels in 0..255."""
    start = poorer.float()
    return (start + amounts.float() * (images.float() - start)).clamp(0, 255).byte()


def grey(images: Tensor) -> Tensor:
    """Return the luma of images (N, H, W, 3) as int32 (N, H, W) in 0..255 (ITU-R 601-2, 16-bit weights)."""
    red, green, blue = images.int().unbind(-1)
    return (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16


def color_or_sharpness(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Return uint8 (N, H, W, 3): images whose operation (N,) is one of the two changed, the others as is."""

    def chosen(operation: Operation) -> Tensor:
        return (operations == operation)[:, None, None, None]

    color, sharpness = chosen(Operation.COLOR), chosen(Operation.SHARPNESS)
    poorer = torch.where(color, grey(images)[..., None], _smooth(images))
    amounts = torch.where(color | sharpness, magnitudes[:, None, None, None], 1)
    return blend(poorer, images, amounts)


def _smooth(images: Tensor) -> Tensor:
    """Average 3×3 pixels, the middle one five times; the outermost pixels stay."""
    if min(images.shape[1:3]) < 3:
        return images
    values = images.int()
    columns = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
    sums = columns[:, :, :-2] + columns[:, :, 1:-1] + columns[:, :, 2:] + 4 * values[:, 1:-1, 1:-1]
    smooth = images.clone()
    smooth[:, 1:-1, 1:-1] = ((2 * sums + 13) // 26).byte()
    return smooth
