"""Real images for the augmentation tests."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor

TILE = 32


@pytest.fixture(scope="session")
def photographs() -> Tensor:
    """Tiles of two photographs at half their size, uint8 (120, 32, 32, 3)."""
    tiles = [
        torch.from_numpy(photograph[::2, ::2].copy()).unfold(0, TILE, TILE).unfold(1, TILE, TILE)
        for photograph in load_sample_images().images
    ]
    return torch.stack(tiles).permute(0, 1, 2, 4, 5, 3).reshape(-1, TILE, TILE, 3).contiguous()
