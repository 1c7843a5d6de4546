"""Spectra of images: the log-amplitude spectrum, the profile of a set of images, and rings of frequency."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from winninghand.base.errors import InputError

Rule = Literal["plain", "padded"]
"""How a profile's images were shown: as a test image would come, or, up to version 0.1, cropped from a black
margin and flipped."""


@dataclass(frozen=True)
class SpectralProfile:
    """Mean and standard deviation over images of each cell of the log-amplitude spectrum.

    `clean` is the profile of the same images without augmentation, against which the shift of
    other images is measured; None where it is not known. `rule` says how the images were shown. Only
    `plain` ones can be compared with test images: the margin of a `padded` one looks like no test image.
    """

    mean: Tensor
    spread: Tensor
    clean: SpectralProfile | None = None
    rule: Rule = "plain"

    def __repr__(self) -> str:
        clean = "" if self.clean is None else ", with that of clean images"
        return f"SpectralProfile({'×'.join(map(str, self.mean.shape))}, {self.rule}{clean})"

    @classmethod
    def of(cls, images: Tensor, clean: Tensor | None = None) -> SpectralProfile:
        """Return the profile of float images (N, 3, H, W) in [0, 1], N ≥ 2, without padding, crop and flip.

        `clean` holds the images as they were before augmentation.
        """
        return cls.of_spectra(log_spectra(images), None if clean is None else log_spectra(clean))

    @classmethod
    def of_spectra(cls, spectra: Tensor, clean: Tensor | None = None) -> SpectralProfile:
        """Return the profile of images by their `log_spectra`, (N, rows, columns), N ≥ 2: see `of`."""
        return cls(spectra.mean(dim=0), spectra.std(dim=0), None if clean is None else cls.of_spectra(clean))

    def check(self, size: tuple[int, int]) -> None:
        """Raise `InputError` unless it can be the profile of images of `size` (H, W)."""
        for name, tensor in (("mean", self.mean), ("spread", self.spread)):
            if tuple(tensor.shape) != profile_shape(size) or not tensor.is_floating_point():
                raise InputError(
                    f"the profile's {name} must be float {profile_shape(size)} for images of {size[0]} × "
                    f"{size[1]}, not {tensor.dtype} {(*tensor.shape,)}; make it of such images"
                )
            if not bool(tensor.isfinite().all()):
                raise InputError(f"the profile's {name} holds values that are NaN or infinite")
        if bool((self.spread < 0).any()):
            raise InputError("the profile's spread holds negative values")
        if self.clean is not None:
            self.clean.check(size)

    def to(self, device: torch.device | str) -> SpectralProfile:
        """Return the profile on another device."""
        clean = None if self.clean is None else self.clean.to(device)
        return SpectralProfile(self.mean.to(device), self.spread.to(device), clean, self.rule)


# The grid of the benchmark's 32×32 images; larger images are averaged down to it, so that a
# profile stays a few kilobytes.
_ROWS, _COLUMNS = 32, 17

# Added to every amplitude before the logarithm: about half a grey level's worth at one
# frequency, below which a spectrum says more about rounding than about the image.
_FLOOR = 1e-2

# Up to this side, one small image takes the processor longer to start an FFT on than to multiply out.
_LARGEST_PRODUCT = 64
_TRANSFORMED_AT_ONCE = 32


def log_spectra(images: Tensor) -> Tensor:
    """Return the log-amplitude spectrum of each image, float32 (N, rows ≤ 32, columns ≤ 17).

    `images` is float (N, 3, H, W) in [0, 1]. Per channel the amplitude of the orthonormal 2-D
    FFT, its natural logarithm, then the mean over the three channels; rows are the vertical
    frequencies with zero in the middle, columns the horizontal ones from zero up.
    """
    images = images.float()
    size = (images.shape[-2], images.shape[-1])
    # Under autocast a product would lose the digits that faint frequencies need.
    if images.device.type == "cpu" and max(size) <= _LARGEST_PRODUCT and not torch.is_autocast_enabled("cpu"):
        # Not through the module's call, which takes as long as one of the products.
        return _products(size).forward(images)
    if images.device.type == "cpu" and len(images) > _TRANSFORMED_AT_ONCE:
        # A processor gains nothing from more, and the amplitudes take several times the images' memory.
        return torch.cat([log_spectra(part) for part in images.split(_TRANSFORMED_AT_ONCE)])
    amplitudes = torch.fft.rfft2(images, norm="ortho").abs()
    logs = torch.fft.fftshift(amplitudes.add_(_FLOOR).log_().mean(dim=1), dim=-2)
    grid = _grid(logs.shape[-2], logs.shape[-1])
    return logs if logs.shape[1:] == grid else functional.adaptive_avg_pool2d(logs, grid)


class LogSpectra(nn.Module):
    """`log_spectra` for images (N, 3, *size): the same values from matrix products alone.

    The 2-D transform is one product with cosines and sines over the columns and one over the
    rows, for about 4·H·W·(H + W) multiplications per channel; rows leave it with frequency zero
    in the middle. For formats without an FFT, and for small images, where it is faster.
    """

    horizontal: Tensor
    vertical: Tensor
    pool_rows: Tensor
    pool_columns: Tensor

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        height, width = size
        self.rows, self.columns = height, width // 2 + 1
        grid = _grid(self.rows, self.columns)
        self.pooled = grid != (self.rows, self.columns)
        columns = torch.arange(self.columns)
        rows = torch.arange(height).roll(height // 2)
        self.register_buffer("horizontal", torch.cat(_waves(columns, width)).T.contiguous(), persistent=False)
        self.register_buffer("vertical", _complex_product(*_waves(rows, height)), persistent=False)
        self.register_buffer("pool_rows", _averaging(self.rows, grid[0]), persistent=False)
        self.register_buffer("pool_columns", _averaging(self.columns, grid[1]).T, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return log-amplitude spectra, float32 (N, rows, columns), of images (N, 3, H, W) in [0, 1]."""
        # Each row of cosines is followed by its row of sines.
        lines = (images @ self.horizontal).view(-1, 3, 2 * self.rows, self.columns)
        # In place, and not by hypot, which ONNX does not have: for one image, what an operation takes to
        # start and to allocate is most of its time.
        squares = (self.vertical @ lines).square_().view(-1, 3, 2, self.rows, self.columns)
        logs = squares.sum(dim=2).sqrt_().add(_FLOOR).log_().mean(dim=1)
        return self.pool_rows @ logs @ self.pool_columns if self.pooled else logs


@functools.lru_cache(maxsize=8)
def _products(size: tuple[int, int]) -> LogSpectra:
    with torch.inference_mode(False):
        return LogSpectra(size)


def profile_shape(size: tuple[int, int]) -> tuple[int, int]:
    """Return the shape of a log-amplitude spectrum, and of a profile, of images of `size` (H, W)."""
    return _grid(size[0], size[1] // 2 + 1)


def _grid(rows: int, columns: int) -> tuple[int, int]:
    return min(rows, _ROWS), min(columns, _COLUMNS)


def _waves(frequencies: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (frequencies, length) of the orthonormal transform."""
    # Whole turns are taken out while the numbers are whole, so that long rows lose no digits.
    turns = (frequencies[:, None] * torch.arange(length)).remainder(length).double() / length
    angles = 2 * math.pi * turns
    return (angles.cos() / math.sqrt(length)).float(), (angles.sin() / math.sqrt(length)).float()


def _complex_product(cosines: Tensor, sines: Tensor) -> Tensor:
    """Return the matrix (2 · F, 2 · L) from lines of cosines and sines in turn to complex amplitudes.

    The real parts of all F frequencies come first.
    """
    real = torch.stack((cosines, -sines), dim=-1).flatten(1)
    imaginary = torch.stack((sines, cosines), dim=-1).flatten(1)
    return torch.cat((real, imaginary))


def _averaging(length: int, parts: int) -> Tensor:
    """Return the matrix (parts, length) that averages as adaptive average pooling does."""
    return functional.adaptive_avg_pool1d(torch.eye(length, dtype=torch.float32)[None], parts)[
        0
    ].T.contiguous()


RINGS = 8
"""The mean level, then seven rings of equal width out to the corner of the frequency plane."""


def ring_averages(rows: int, columns: int) -> Tensor:
    """Return the matrix (rows · columns, RINGS) that averages a flat spectrum over each ring.

    Rows and columns are laid out as in `log_spectra`. A ring that a small grid has no cell of
    stays zero.
    """
    vertical = (torch.arange(rows) - rows // 2)[:, None].float() / (rows / 2)
    horizontal = torch.arange(columns)[None].float() / (columns - 1)
    radius = (vertical.square() + horizontal.square()).sqrt() / 2**0.5
    ring = (radius * (RINGS - 1)).ceil().long().clamp_max(RINGS - 1).flatten()
    members = torch.nn.functional.one_hot(ring, RINGS).float()
    return members / members.sum(dim=0).clamp_min(1)
