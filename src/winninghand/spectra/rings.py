"""Rings of spatial frequency, over which a spectrum is averaged to a handful of numbers."""

from __future__ import annotations

import torch
from torch import Tensor

RINGS = 8
"""The mean level, then seven rings of equal width out to the corner of the frequency plane."""


def ring_averages(rows: int, columns: int) -> Tensor:
    """Return the matrix (rows · columns, RINGS) that averages a flat spectrum over each ring.

    Rows and columns are laid out as in `log_spectra`. A ring that a small grid has no cell of
    stays zero.
    """
    vertical = (torch.arange(rows) - rows // 2)[:, None] / (rows / 2)
    horizontal = torch.arange(columns)[None] / (columns - 1)
    radius = (vertical.square() + horizontal.square()).sqrt() / 2**0.5
    ring = (radius * (RINGS - 1)).ceil().long().clamp_max(RINGS - 1).flatten()
    members = torch.nn.functional.one_hot(ring, RINGS).float()
    return members / members.sum(dim=0).clamp_min(1)
