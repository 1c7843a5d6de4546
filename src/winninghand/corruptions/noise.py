"""The noise family: Gaussian, shot, impulse and speckle noise, independent for every stored value.

The corrupted level of a stored value depends on that value and chance only. So the whole corruption
is a 256 × 256 matrix of probabilities. Each of its rows becomes an alias table (Walker 1977), from
which one 32-bit word per value chooses the corrupted level exactly as the matrix says, up to 2⁻²⁴.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.parameters import (
    GAUSSIAN_NOISE_SIGMA,
    IMPULSE_FRACTION,
    SHOT_PHOTONS,
    SPECKLE_SIGMA,
    Setting,
)

LEVELS = 256
BRIGHTEST = LEVELS - 1


@corruption("gaussian_noise", "noise", group="common", table=GAUSSIAN_NOISE_SIGMA)
def gaussian_noise(images: Tensor, setting: Setting[float], rng: CounterRNG) -> Tensor:
    """Add normal noise of standard deviation σ on the unit range."""
    return noisy(images, _gaussian_table(setting.values), rng)


@corruption("shot_noise", "noise", group="common", table=SHOT_PHOTONS)
def shot_noise(images: Tensor, setting: Setting[int], rng: CounterRNG) -> Tensor:
    """Count photons: a value x becomes Poisson(c · x) / c."""
    return noisy(images, _shot_table(setting.values), rng)


@corruption("impulse_noise", "noise", group="common", table=IMPULSE_FRACTION)
def impulse_noise(images: Tensor, setting: Setting[float], rng: CounterRNG) -> Tensor:
    """Replace a fraction of the values, channel by channel, by black or white at equal odds."""
    return noisy(images, _impulse_table(setting.values), rng)


@corruption("speckle_noise", "noise", group="extra", table=SPECKLE_SIGMA)
def speckle_noise(images: Tensor, setting: Setting[float], rng: CounterRNG) -> Tensor:
    """Multiply every value by 1 + normal noise of standard deviation σ."""
    return noisy(images, _speckle_table(setting.values), rng)


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


def noisy(images: Tensor, table: Tensor, rng: CounterRNG) -> Tensor:
    """Return uint8 (N, H, W, 3): every value replaced by a draw from its row of `table`."""
    words = rng.words(*images.shape[1:])
    column = words.bitwise_and(LEVELS - 1)
    slot = images.int().mul_(LEVELS).bitwise_or_(column)
    entry = table.to(images.device).index_select(0, slot.flatten()).view_as(words)
    # Selecting by bits: a branch on random bits would cost more than all the rest.
    aliased = words.ge(entry).int().neg_()
    return column.bitwise_xor_(column.bitwise_xor(entry).bitwise_and_(aliased)).byte()


def from_cumulative(below: Tensor) -> Tensor:
    """Return the probabilities (256, 256) of levels 0..255 from those of lying below 1..255, (256, 255)."""
    rows = len(below)
    edges = (below.new_zeros(rows, 1), below, below.new_ones(rows, 1))
    return torch.cat(edges, 1).diff(dim=1)


def alias_table(probabilities: Tensor) -> Tensor:
    """Return the alias table of a float64 matrix (256, 256), rows summing to 1, as int32 (65536,).

    The entry at 256 · value + column holds the threshold in its upper 24 bits and the alias in its
    lower 8: a word below it keeps the column's own level, any other takes the alias.
    """
    share, alias = _settled(probabilities.numpy() * LEVELS)
    threshold = np.minimum(np.rint(share.clip(0, 1) * 2**24).astype(np.int64), 2**24 - 1) - 2**23
    return torch.from_numpy((threshold * LEVELS + alias).astype(np.int32).ravel())


def _settled(share: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return what each column keeps of its full share of 1, and the column that gives the rest.

    In all rows at once, one column after the other is filled up by the richest (Vose 1991): the
    poorest that is left, or the last giver where it has become poor itself.
    """
    rows = np.arange(LEVELS)
    order = share.argsort(1)
    alias = np.tile(rows, (LEVELS, 1))
    left = share.copy()
    taken = np.zeros(LEVELS, dtype=np.int64)
    given = np.zeros(LEVELS, dtype=np.int64)
    giver_is_poor = np.zeros(LEVELS, dtype=bool)
    for _ in range(LEVELS - 1):
        poor = np.where(giver_is_poor, order[rows, -given], order[rows, taken])
        taken += ~giver_is_poor
        giver = order[rows, -1 - given]
        alias[rows, poor] = giver
        left[rows, giver] -= 1 - left[rows, poor]
        giver_is_poor = left[rows, giver] < 1
        given += giver_is_poor
    return left, alias
