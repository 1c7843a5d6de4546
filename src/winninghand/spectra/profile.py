"""What a set of images looks like in the Fourier domain."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# The grid of the benchmark's 32×32 images; larger images are averaged down to it, so that a
# profile stays a few kilobytes.
_ROWS, _COLUMNS = 32, 17

# Added to every amplitude before the logarithm: about half a grey level's worth at one
# frequency, below which a spectrum says more about rounding than about the image.
_FLOOR = 1e-2


def log_spectra(images: Tensor) -> Tensor:
    """Return the log-amplitude spectrum of each image, float32 (N, rows ≤ 32, columns ≤ 17).

    `images` is float (N, 3, H, W) in [0, 1]. Per channel the amplitude of the orthonormal 2-D
    FFT, its natural logarithm, then the mean over the three channels; rows are the vertical
    frequencies with zero in the middle, columns the horizontal ones from zero up.
    """
    amplitudes = torch.fft.rfft2(images.float(), norm="ortho").abs()
    logs: Tensor = torch.fft.fftshift(amplitudes.add_(_FLOOR).log_().mean(dim=1), dim=-2)
    rows, columns = min(logs.shape[-2], _ROWS), min(logs.shape[-1], _COLUMNS)
    if (rows, columns) == logs.shape[-2:]:
        return logs
    return functional.adaptive_avg_pool2d(logs, (rows, columns))


@dataclass(frozen=True)
class SpectralProfile:
    """Mean and standard deviation over images of each cell of the log-amplitude spectrum.

    `clean` is the profile of the same images without augmentation, against which the shift of
    other images is measured; None where it is not known.
    """

    mean: Tensor
    spread: Tensor
    clean: SpectralProfile | None = None

    @classmethod
    def of(cls, images: Tensor, clean: Tensor | None = None) -> SpectralProfile:
        """Return the profile of float images (N, 3, H, W) in [0, 1], N ≥ 2.

        `clean` holds the images as they were before augmentation.
        """
        logs = log_spectra(images)
        return cls(logs.mean(dim=0), logs.std(dim=0), None if clean is None else cls.of(clean))

    def to(self, device: torch.device | str) -> SpectralProfile:
        """Return the profile on another device."""
        clean = None if self.clean is None else self.clean.to(device)
        return SpectralProfile(self.mean.to(device), self.spread.to(device), clean)
