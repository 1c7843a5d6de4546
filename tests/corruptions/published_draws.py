"""The benchmark's own draws at 64 and 224 pixels: NumPy's legacy generator, as its scripts ask it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import RandomState

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions import CORRUPTIONS

# A corruption's place in this order and the severity give the reference's seed.
ORDER = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur"),
    *("zoom_blur", "snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate"),
    *("jpeg_compression", "speckle_noise", "gaussian_blur", "spatter", "saturate"),
)
DRAWN = ("glass_blur", "motion_blur", "snow", "frost", "fog", "elastic_transform", "spatter")


class LegacyDraws(CounterRNG):
    """One image's draws from NumPy's legacy generator, in double precision."""

    def __init__(self, state: RandomState) -> None:
        self.state = state

    def uniform(self, *shape: int) -> torch.Tensor:
        if shape == (1, 1):  # the fog's first corner, which is no draw
            return torch.zeros(1, 1, 1, dtype=torch.float64)
        return torch.from_numpy(np.asarray(self.state.random_sample((1, *shape))))

    def normal(self, *shape: int, window: tuple[slice, ...] = ()) -> torch.Tensor:
        return torch.from_numpy(self.state.standard_normal((1, *shape))[(slice(None), *window)].copy())

    def integers(self, limit: int | torch.Tensor, *shape: int) -> torch.Tensor:
        if not shape:
            return torch.tensor([self.state.randint(int(limit))])
        # Glass: pairs across and down, from the last pixel to the first, of those that move.
        reach, (_, height, width) = limit // 2, shape
        drawn = np.zeros((height, width, 2), np.int64)
        rows, columns = (slice(length - reach, reach, -1) for length in (height, width))
        drawn[rows, columns] = self.state.randint(-reach, reach, drawn[rows, columns].shape)
        return torch.from_numpy(reach - 1 - drawn[..., ::-1].transpose(2, 0, 1).copy())[None]


def corrupted(images: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
    """Return images as the reference makes them after its draws under `seed`, 1 or 2."""
    state = RandomState(1000 * seed + 10 * ORDER.index(name) + severity)
    parts = []
    for image in images:
        parts.append(CORRUPTIONS[name].apply(torch.from_numpy(image)[None], severity, LegacyDraws(state)))
        if name == "elastic_transform" and severity == 1 and len(image) == 64:
            state.random_sample((2, 64, 64))  # a field that is drawn and not used
    return torch.cat(parts).numpy()
