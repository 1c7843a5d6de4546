"""The real Fourier basis: images that hold one spatial frequency each."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def half_plane(height: int, width: int) -> Tensor:
    """Return one frequency of every pair ±f of a (height, width) grid, int64 (F, 2).

    Vertical and horizontal frequency in cycles per image, from −⌊side / 2⌋ up. A real image's
    amplitude is the same at f and −f, so that these are all there is to know.
    """
    centre = torch.tensor([height // 2, width // 2])
    mirrored = _mirrored(height, width)
    own = torch.arange(height * width).view(height, width)
    return (own <= mirrored).nonzero() - centre


def basis_images(frequencies: Tensor, height: int, width: int) -> Tensor:
    """Return the basis image of every frequency (F, 2), float32 (F, height, width), of unit l2 norm.

    cos θ + sin θ of the phase θ = 2π (vertical · y / height + horizontal · x / width): the phase of
    45° gives every frequency, zero and the highest included, the same norm (Hartley 1942).
    """
    vertical, horizontal = frequencies.double().unbind(dim=1)
    rows = torch.arange(height, device=frequencies.device) / height
    columns = torch.arange(width, device=frequencies.device) / width
    turns = vertical[:, None, None] * rows[:, None] + horizontal[:, None, None] * columns
    phase = 2 * math.pi * turns
    images: Tensor = (phase.cos() + phase.sin()) / math.sqrt(height * width)
    return images.float()


def on_whole_plane(values: Tensor, height: int, width: int) -> Tensor:
    """Lay one value per frequency of the `half_plane` on the whole grid, (height, width).

    Zero frequency stands at [height // 2, width // 2]; f and −f have the same value.
    """
    own = torch.arange(height * width).view(height, width)
    first = torch.minimum(own, _mirrored(height, width))
    numbers = torch.empty(height * width, dtype=torch.int64)
    numbers[first.unique()] = torch.arange(len(values))
    return values[numbers[first].to(values.device)]


def _mirrored(height: int, width: int) -> Tensor:
    """Return for each place of the grid the number of the place of its −f, int64 (height, width)."""
    rows, columns = ((2 * (side // 2) - torch.arange(side)) % side for side in (height, width))
    return rows[:, None] * width + columns
