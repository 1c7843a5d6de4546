"""Spectra for the eye: along the frequency as a curve, and on the whole plane as a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from winninghand.cards import Card
from winninghand.images.checks import UInt8Array

# Viridis (Smith & van der Walt 2015): light and dark stay apart for every kind of colour vision, and in grey.
_COLOURS = np.array(
    [
        (68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142),
        (31, 158, 137), (53, 183, 121), (109, 205, 89), (180, 222, 44), (253, 231, 37),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class DomainProfile:
    """What the images that cards learned from look like: the mean log-amplitude spectrum of a domain.

    `cards` are the numbers, from 1, of the cards that learned under it; the mean is over them.
    """

    domain: str
    cards: tuple[int, ...]
    mean: Tensor


def domain_of(card: Card) -> str:
    """Return the name of the domain that a card learned under, "unknown" where it does not say."""
    return card.metadata.domain_name or "unknown"


def profiles_of(cards: Iterable[Card]) -> tuple[DomainProfile, ...]:
    """Return one profile for each domain among the cards, in their order; cards without one are left out."""
    found: dict[str, list[tuple[int, Tensor]]] = {}
    for number, card in enumerate(cards, start=1):
        if card.profile is not None:
            found.setdefault(domain_of(card), []).append((number, card.profile.mean.cpu()))
    return tuple(
        DomainProfile(domain, tuple(numbers), torch.stack(means).mean(dim=0))
        for domain, members in found.items()
        for numbers, means in [zip(*members, strict=True)]
    )


def along_frequency(spectrum: Tensor) -> list[float]:
    """Return the mean of a spectrum (rows, columns), laid out as by `log_spectra`, at each frequency.

    The first value is the mean level of the picture, the last the finest stripes along a side; corners of
    the plane, which are finer still, are left out.
    """
    rows, columns = spectrum.shape
    steps = columns - 1
    if not steps:
        return [float(spectrum.mean())]
    vertical = (torch.arange(rows) - rows // 2)[:, None] / max(1, rows // 2)
    horizontal = torch.arange(columns)[None] / steps
    ring = ((vertical.square() + horizontal.square()).sqrt() * steps).round().long()
    return [float(spectrum[ring == step].mean()) for step in range(steps + 1)]


def on_plane(spectrum: Tensor, low: float, high: float) -> Image.Image:
    """Return a spectrum (rows, columns) as a picture of the whole plane, frequency zero in the middle.

    Values from `low` to `high` go from dark blue to yellow.
    """
    values = spectrum.numpy()
    # A real picture's amplitude is the same at f and −f. Row 0 is the highest frequency, and its own mirror.
    mirrored = np.roll(values[::-1, ::-1], 1 - values.shape[0] % 2, axis=0)
    whole = np.concatenate([mirrored[:, :-1], values], axis=1)
    place = ((whole - low) / max(high - low, 1e-6)).clip(0, 1) * (len(_COLOURS) - 1)
    marks = np.arange(len(_COLOURS))
    pixels: UInt8Array = (
        np.stack([np.interp(place, marks, channel) for channel in _COLOURS.T], axis=-1)
        .round()
        .astype(np.uint8)
    )
    return Image.fromarray(pixels)
