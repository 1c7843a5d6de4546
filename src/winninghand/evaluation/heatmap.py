"""Fourier heatmaps: a model's error under one spatial frequency at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.base.deprecation import renamed_arguments
from winninghand.base.device import device_of, to_unit
from winninghand.base.errors import InputError, checked_whole
from winninghand.base.randomness import CounterRNG
from winninghand.cards.player import Player, player_of
from winninghand.evaluation.measurement import (
    ModelLike,
    Sample,
    SplitLike,
    as_model,
    as_split,
    balanced_sample,
    play,
)
from winninghand.evaluation.table import CLEAN
from winninghand.spectra import basis_images, half_plane, on_whole_plane

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True)
class Heatmap:
    """Error under each spatial frequency that was measured, over the same images.

    `errors` is float64 (rows, columns), fractions, of all frequencies or the lowest; zero frequency
    stands at [rows // 2, columns // 2], vertical frequencies grow downwards, horizontal ones to the right.
    """

    errors: npt.NDArray[np.float64]
    clean_error: float
    norm: float
    images: int
    seed: int

    def __repr__(self) -> str:
        errors = f"error {self.clean_error:.1%} clean, {self.mean_error:.1%} on average"
        height, width = self.errors.shape
        return f"Heatmap({height}×{width} frequencies of norm {self.norm:g}, {errors})"

    @property
    def mean_error(self) -> float:
        """Plain mean over all frequencies, a fraction."""
        return float(self.errors.mean())

    @property
    def worst_frequency(self) -> tuple[int, int]:
        """Vertical and horizontal frequency of the largest error, in cycles per image."""
        height, width = self.errors.shape
        row, column = divmod(int(self.errors.argmax()), width)
        return row - height // 2, column - width // 2

    def bands(self, count: int) -> list[float]:
        """Return the mean errors over `count` equally wide bands, up to the largest frequency along an axis.

        Frequencies in the corners, beyond that, are of the last band.
        """
        height, width = self.errors.shape
        vertical = np.abs(np.arange(height) - height // 2)[:, None] / (height // 2 or 1)
        horizontal = np.abs(np.arange(width) - width // 2)[None] / (width // 2 or 1)
        band = np.minimum((np.hypot(vertical, horizontal) * count).astype(int), count - 1)
        return [float(self.errors[band == place].mean()) for place in range(count)]

    def coarse(self, most: int) -> npt.NDArray[np.float64]:
        """Return the map with at most so many frequencies along each side, by means over neighbours."""
        step = max(-(-length // most) for length in self.errors.shape)
        height, width = (length // step * step for length in self.errors.shape)
        blocks = self.errors[:height, :width].reshape(height // step, step, width // step, step)
        return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float64)

    def plot(self, data: str = "", title: str = "") -> altair.Chart:
        """Return the map as an Altair chart, zero frequency in its middle.

        Notebooks show it; `wh.save_picture` writes it as SVG or PNG. Its caption names the number of images
        and the seed, and the `data` where it is given. Raises `InputError` where altair, of the extra
        `report`, is not installed.
        """
        from winninghand.base.charts import caption_of  # who measures alone needs none of it
        from winninghand.evaluation.heatmap_chart import heatmap_chart

        title = title or f"Error with one frequency of norm {self.norm:g} added"
        return heatmap_chart(self.errors, title, caption_of(data, self.images, self.seed))

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "images": self.images,
            "seed": self.seed,
            "norm": self.norm,
            "clean_error": self.clean_error,
            "mean_error": self.mean_error,
            "errors": self.errors.tolist(),
        }


# As many frequencies along an axis as Yin et al. (2019) show of images of 224 pixels.
LOWEST_SIDE = 63
_ALL_UP_TO = 64


def heatmap_shape(size: tuple[int, int], side: int | None = None) -> tuple[int, int]:
    """Return how many frequencies along each axis a heatmap of images of a size has: see `fourier_heatmap`.

    Raises `InputError` unless `side` is a whole number of at least 1, and odd where it leaves some out: a
    frequency and its negative are measured together.
    """
    if side is not None:
        side = checked_whole("the side of the heatmap", side, least=1)
        if side % 2 == 0 and side < max(size):
            raise InputError(f"the side of the heatmap must be odd, such as {side + 1}, not {side}")
    elif max(size) > _ALL_UP_TO:
        side = LOWEST_SIDE
    height, width = (length if side is None else min(length, side) for length in size)
    return height, width


# Far beyond what turns every pixel black or white, and far from where single precision ends.
_LARGEST_NORM = 1e6
_SMALL_NORM, _LARGE_NORM = 4.0, 15.7
"""The paper's, of images of 32 and of 224 pixels."""


def heatmap_norm(size: tuple[int, int], norm: float | None = None) -> float:
    """Return the norm of what is added to images of a size: see `fourier_heatmap`.

    Raises `InputError` unless it lies in (0, 1,000,000].
    """
    if norm is None:
        return _SMALL_NORM if max(size) <= _ALL_UP_TO else _LARGE_NORM
    if not 0 < norm <= _LARGEST_NORM:
        raise InputError(
            "the norm of the added basis images must be a positive number of at most "
            f"{_LARGEST_NORM:,.0f}, not {norm}"
        )
    return norm


@renamed_arguments(advance="progress")
def fourier_heatmap(
    model: ModelLike,
    split: SplitLike,
    norm: float | None = None,
    limit: int | None = 200,
    seed: int = 0,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
    side: int | None = None,
) -> Heatmap:
    """Measure a classifier of float images in [0, 1] with each Fourier basis image added (Yin et al. 2019).

    It and the images may be given by their paths, as in `evaluate`. Every channel of every image gets the
    basis image of l2 norm `norm`, in units of the full scale, under a random sign of its own; the sum is
    clipped to [0, 1]. Without a `norm` it is the paper's: 4 up to 64 pixels, and 15.7 beyond these. `limit`
    takes a seeded, class-balanced sample. `side` takes the lowest side × side frequencies only; without it
    all count up to 64 pixels, and beyond these the lowest 63 × 63, as in the paper. A batch holds images of
    one frequency only, since the gate of a deck looks at batches. `progress` is told of each frequency done.
    Raises `InputError` unless `norm` lies in (0, 1,000,000], and `side` is odd or takes all frequencies.
    """
    if norm is not None:
        heatmap_norm((1, 1), norm)  # before anything is opened
    model = as_model(model)
    split = as_split(model, split)
    norm = heatmap_norm(split.size, norm)
    shape = heatmap_shape(split.size, side)
    indices = balanced_sample(split, limit, seed)
    clean = play(model, Sample(split, indices).batches(CLEAN, 0, batch_size))
    device = device_of(model)
    probe = _Probe(
        player_of(model),
        torch.from_numpy(split.images[indices]).to(device),
        torch.from_numpy(split.labels[indices]).to(device),
        torch.from_numpy(indices).to(device),
        norm,
        seed,
        batch_size,
    )
    wrong = []
    for frequency in half_plane(*shape):
        wrong.append(probe.wrong_under(frequency))
        if progress is not None:
            progress(1)
    errors = on_whole_plane(torch.stack(wrong).double().cpu() / len(indices), *shape)
    return Heatmap(errors.numpy(), 1 - clean.accuracy, norm, len(indices), seed)


@dataclass(frozen=True)
class _Probe:
    """A player, and images uint8 (N, H, W, 3), labels (N,) and indices (N,) on its device."""

    player: Player
    images: Tensor
    labels: Tensor
    indices: Tensor
    norm: float
    seed: int
    batch_size: int

    @torch.inference_mode()
    def wrong_under(self, frequency: Tensor) -> Tensor:
        """Return how many images are answered wrongly, a scalar on the device."""
        height, width = self.images.shape[1:3]
        added = self.norm * basis_images(frequency[None].to(self.images.device), height, width)
        vertical, horizontal = frequency.tolist()
        rng = CounterRNG(f"{self.seed}/heatmap/{vertical}/{horizontal}", self.indices)
        signs = 2 * rng.integers(2, 3, 1, 1).float() - 1
        wrong = torch.zeros((), dtype=torch.int64, device=self.images.device)
        for start in range(0, len(self.labels), self.batch_size):
            part = slice(start, start + self.batch_size)
            # Bytes until now, and in place: at 224 pixels a copy of a batch is 150 megabytes.
            disturbed = to_unit(self.images[part]).addcmul_(signs[part], added).clamp_(0, 1)
            wrong += (self.player.answer(disturbed).outputs.argmax(dim=1) != self.labels[part]).sum()
        return wrong
