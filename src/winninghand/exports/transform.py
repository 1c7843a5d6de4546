"""The gates' view of images as matrix products, for formats and devices without an FFT."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from winninghand.spectra import log_spectra


class LogSpectra(nn.Module):
    """`log_spectra` for images (N, 3, *size): the same values from matrix products alone.

    The 2-D transform is one product with cosines and sines over the columns and one over the
    rows, for about 4·H·W·(H + W) multiplications per channel; rows leave it with frequency zero
    in the middle.
    """

    horizontal: Tensor
    vertical: Tensor
    pool_rows: Tensor
    pool_columns: Tensor

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        height, width = size
        dark = log_spectra(torch.zeros(1, 3, height, width))[0]
        self.floor = float(dark[0, 0].double().exp())
        columns = torch.arange(width // 2 + 1)
        rows = torch.arange(height).roll(height // 2)
        self.register_buffer("horizontal", torch.stack(_waves(columns, width)).mT, persistent=False)
        self.register_buffer("vertical", torch.stack(_waves(rows, height)), persistent=False)
        self.register_buffer("pool_rows", _averaging(height, dark.shape[0]), persistent=False)
        self.register_buffer("pool_columns", _averaging(len(columns), dark.shape[1]).T, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return log-amplitude spectra, float32 (N, rows, columns), of images (N, 3, H, W) in [0, 1]."""
        cosines, sines = images @ self.horizontal[0], images @ self.horizontal[1]
        real = self.vertical[0] @ cosines - self.vertical[1] @ sines
        imaginary = self.vertical[0] @ sines + self.vertical[1] @ cosines
        amplitudes = (real.square() + imaginary.square()).sqrt()
        logs = (amplitudes + self.floor).log().mean(dim=1)
        return self.pool_rows @ logs @ self.pool_columns


def _waves(frequencies: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (frequencies, length) of the orthonormal transform."""
    # Whole turns are taken out while the numbers are whole, so that long rows lose no digits.
    turns = (frequencies[:, None] * torch.arange(length)).remainder(length).double() / length
    angles = 2 * math.pi * turns
    return (angles.cos() / math.sqrt(length)).float(), (angles.sin() / math.sqrt(length)).float()


def _averaging(length: int, parts: int) -> Tensor:
    """Return the matrix (parts, length) that averages as adaptive average pooling does."""
    return functional.adaptive_avg_pool1d(torch.eye(length)[None], parts)[0].T.contiguous()
