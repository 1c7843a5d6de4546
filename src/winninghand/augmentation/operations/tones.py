"""Tonal operations: one table of 256 levels per image and channel."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.augmentation.operations.blends import blend, grey
from winninghand.augmentation.operations.operation import Operation


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
