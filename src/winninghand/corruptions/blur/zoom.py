"""`zoom_blur`: the mean over a range of zooms into the middle."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.planes import to_images, to_planes
from winninghand.corruptions.zooming import zoom_matrix

LARGEST = (1.06, 1.11, 1.16, 1.21, 1.26)

# Rounding must not take a constant area one level down.
TIE = 1e-6


@corruption("zoom_blur", "blur", deterministic=True)
def zoom_blur(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Average the image, once more, with all its zooms."""
    planes = to_planes(images, torch.float64)
    height, width = planes.shape[-2:]
    down, across = _summed_zooms(height, width, LARGEST[severity - 1])
    zoomed = (planes @ across.to(planes.device)).view(*planes.shape[:2], -1, width)
    return to_images((down.to(planes.device) @ zoomed).add_(TIE))


@lru_cache(maxsize=16)
def _summed_zooms(height: int, width: int, largest: float) -> tuple[Tensor, Tensor]:
    """Return what takes an image X to the mean of A X Bᵀ over its zooms, as two matrices.

    The first (H, H · Z) holds the A of Z different zooms side by side, weighted by how often each
    occurs; the second (W, Z · W) their B.
    """
    # NumPy's own range: its rounding decides whether the end belongs to it, and ties in the sizes.
    factors = [1.0, *np.arange(1, largest, 0.01).tolist()]
    pairs = [(zoom_matrix(height, factor), zoom_matrix(width, factor)) for factor in factors]
    keys = [(down.numpy().tobytes(), across.numpy().tobytes()) for down, across in pairs]
    different = dict(zip(keys, pairs, strict=True))
    often = Counter(keys)
    down = torch.stack([pair[0] * often[key] / len(factors) for key, pair in different.items()], -1)
    across = torch.cat([pair[1].T for pair in different.values()], 1)
    return down.flatten(1), across
