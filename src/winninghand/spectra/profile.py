"""What a set of images looks like in the Fourier domain."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from winninghand.spectra.transform import log_spectra


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
