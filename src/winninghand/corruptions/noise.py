"""The noise family: Gaussian, shot, impulse and speckle noise, independent for every stored value."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption
from winninghand.corruptions.transitions import LEVELS, alias_table, from_cumulative, noisy

GAUSSIAN_SIGMA = (0.04, 0.06, 0.08, 0.09, 0.10)
SHOT_PHOTONS = (500, 250, 100, 75, 50)
IMPULSE_FRACTION = (0.01, 0.02, 0.03, 0.05, 0.07)
SPECKLE_SIGMA = (0.06, 0.1, 0.12, 0.16, 0.2)

BRIGHTEST = LEVELS - 1


@corruption("gaussian_noise", "noise")
def gaussian_noise(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Add normal noise of standard deviation σ on the unit range."""
    return noisy(images, _gaussian_table(GAUSSIAN_SIGMA[severity - 1]), rng)


@corruption("shot_noise", "noise")
def shot_noise(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Count photons: a value x becomes Poisson(c · x) / c."""
    return noisy(images, _shot_table(SHOT_PHOTONS[severity - 1]), rng)


@corruption("impulse_noise", "noise")
def impulse_noise(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Replace a fraction of the values, channel by channel, by black or white at equal odds."""
    return noisy(images, _impulse_table(IMPULSE_FRACTION[severity - 1]), rng)


@corruption("speckle_noise", "noise", group="extra")
def speckle_noise(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Multiply every value by 1 + normal noise of standard deviation σ."""
    return noisy(images, _speckle_table(SPECKLE_SIGMA[severity - 1]), rng)


def _levels() -> tuple[Tensor, Tensor]:
    """Return the clean levels 0..255 as a column and the thresholds 1..255 as a row, float64."""
    return torch.arange(LEVELS).double()[:, None], torch.arange(1, LEVELS).double()


@cache
def _gaussian_table(sigma: float) -> Tensor:
    clean, threshold = _levels()
    return alias_table(from_cumulative(torch.special.ndtr((threshold - clean) / (BRIGHTEST * sigma))))


@cache
def _speckle_table(sigma: float) -> Tensor:
    clean, threshold = _levels()
    return alias_table(from_cumulative(torch.special.ndtr((threshold - clean) / (clean * sigma))))


@cache
def _shot_table(photons: int) -> Tensor:
    """Sum the Poisson probabilities of the counts that end at the same level."""
    clean, _ = _levels()
    mean = clean / BRIGHTEST * photons
    counts = torch.arange(photons).double()
    probability = (torch.xlogy(counts, mean) - mean - torch.lgamma(counts + 1)).exp()
    level = (counts / photons * BRIGHTEST).long()
    matrix = torch.zeros(LEVELS, LEVELS, dtype=torch.float64).index_add_(1, level, probability)
    # Every count from `photons` on is clipped to white.
    matrix[:, BRIGHTEST] += (1 - probability.sum(1)).clamp(min=0)
    return alias_table(matrix)


@cache
def _impulse_table(fraction: float) -> Tensor:
    matrix = torch.eye(LEVELS, dtype=torch.float64) * (1 - fraction)
    matrix[:, [0, BRIGHTEST]] += fraction / 2
    return alias_table(matrix)
