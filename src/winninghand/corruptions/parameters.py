"""The parameters of the nineteen corruptions, as the three archives of their authors have them.

CIFAR-10-C has images of 32 pixels, Tiny-ImageNet-C of 64 and ImageNet-C of 224 (Hendrycks & Dietterich
2019). Each table has a row for each severity, 1 to 5. Lengths are in pixels at the set's own size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar, get_args

from winninghand.base.errors import InputError, shown
from winninghand.base.registry import nearest

Row = TypeVar("Row")
Parameters = Literal["auto", "cifar10-c", "tiny-imagenet-c", "imagenet-c"]


class Table(NamedTuple, Generic[Row]):
    """The rows of one corruption, severities 1 to 5, in each published set."""

    cifar10_c: tuple[Row, ...]
    tiny_imagenet_c: tuple[Row, ...]
    imagenet_c: tuple[Row, ...]


SIDES = {"cifar10-c": 32, "tiny-imagenet-c": 64, "imagenet-c": 224}


@dataclass(frozen=True)
class Setting(Generic[Row]):
    """One severity for images of one size: a row of a table, and what lengths are multiplied by.

    `published` is the set that the row is from; `scale` is the images' shorter side over the set's.
    """

    values: Row
    published: str
    scale: float


def published_set(height: int, width: int, parameters: str = "auto") -> str:
    """Return the published set whose parameters images of this size get.

    "auto" is the set whose side is nearest to the shorter side by ratio: CIFAR-10-C's up to 45 pixels,
    Tiny-ImageNet-C's up to 119, ImageNet-C's beyond. Raises `InputError` for an unknown set.
    """
    if parameters == "auto":
        side = min(height, width)
        return min(SIDES, key=lambda name: abs(math.log(side / SIDES[name])))
    return checked_parameters(parameters)


def checked_parameters(parameters: object) -> str:
    """Return the name of a published set or "auto"; `InputError` for anything else."""
    known = get_args(Parameters)
    if not isinstance(parameters, str):
        raise InputError(f"parameters must be one of {', '.join(known)}, not {shown(repr(parameters))}")
    if parameters not in known:
        raise InputError(f"unknown parameters {shown(repr(parameters))}; {nearest(parameters, known)}")
    return parameters


def setting(
    table: Table[Row], severity: int, height: int, width: int, parameters: str = "auto"
) -> Setting[Row]:
    """Return what a corruption with this table does at a severity to images of this size."""
    published = published_set(height, width, parameters)
    rows = table[list(SIDES).index(published)]
    return Setting(rows[severity - 1], published, min(height, width) / SIDES[published])


# Noise: standard deviations and fractions of the unit range; photons at full scale.
GAUSSIAN_NOISE_SIGMA = Table(
    (0.04, 0.06, 0.08, 0.09, 0.10),
    (0.04, 0.08, 0.12, 0.15, 0.18),
    (0.08, 0.12, 0.18, 0.26, 0.38),
)
SHOT_PHOTONS = Table((500, 250, 100, 75, 50), (250, 100, 50, 30, 15), (60, 25, 12, 5, 3))
IMPULSE_FRACTION = Table(
    (0.01, 0.02, 0.03, 0.05, 0.07),
    (0.01, 0.02, 0.05, 0.08, 0.14),
    (0.03, 0.06, 0.09, 0.17, 0.27),
)
SPECKLE_SIGMA = Table(
    (0.06, 0.1, 0.12, 0.16, 0.2), (0.15, 0.2, 0.25, 0.3, 0.35), (0.15, 0.2, 0.35, 0.45, 0.6)
)


class Disk(NamedTuple):
    """A disk's radius, and the standard deviation that softens its rim."""

    radius: float
    rim: float


DEFOCUS = Table(
    (Disk(0.3, 0.4), Disk(0.4, 0.5), Disk(0.5, 0.6), Disk(1, 0.2), Disk(1.5, 0.1)),
    (Disk(0.5, 0.6), Disk(1, 0.1), Disk(1.5, 0.1), Disk(2.5, 0.01), Disk(3, 0.1)),
    (Disk(3, 0.1), Disk(4, 0.5), Disk(6, 0.5), Disk(8, 0.5), Disk(10, 0.5)),
)


class Glass(NamedTuple):
    """The blur before and after, how far a pixel may be copied, and how often all are."""

    sigma: float
    reach: int
    rounds: int


GLASS = Table(
    (Glass(0.05, 1, 1), Glass(0.25, 1, 1), Glass(0.4, 1, 1), Glass(0.25, 1, 2), Glass(0.4, 1, 2)),
    (Glass(0.1, 1, 1), Glass(0.5, 1, 1), Glass(0.6, 1, 2), Glass(0.7, 2, 1), Glass(0.9, 2, 2)),
    (Glass(0.7, 1, 2), Glass(0.9, 2, 1), Glass(1, 2, 3), Glass(1.1, 3, 2), Glass(1.5, 4, 2)),
)


class Streak(NamedTuple):
    """A smear's radius, and the standard deviation of its one-sided Gaussian."""

    radius: float
    sigma: float


MOTION = Table(
    (Streak(6, 1), Streak(6, 1.5), Streak(6, 2), Streak(8, 2), Streak(9, 2.5)),
    (Streak(10, 1), Streak(10, 1.5), Streak(10, 2), Streak(10, 2.5), Streak(12, 3)),
    (Streak(10, 3), Streak(15, 5), Streak(15, 8), Streak(15, 12), Streak(20, 15)),
)


class Zooms(NamedTuple):
    """The zoom factors: from 1 up to `end`, `step` apart."""

    end: float
    step: float


ZOOMS = Table(
    (Zooms(1.06, 0.01), Zooms(1.11, 0.01), Zooms(1.16, 0.01), Zooms(1.21, 0.01), Zooms(1.26, 0.01)),
    (Zooms(1.06, 0.01), Zooms(1.11, 0.01), Zooms(1.16, 0.01), Zooms(1.21, 0.01), Zooms(1.26, 0.01)),
    (Zooms(1.11, 0.01), Zooms(1.16, 0.01), Zooms(1.21, 0.02), Zooms(1.26, 0.02), Zooms(1.31, 0.03)),
)

GAUSSIAN_BLUR_SIGMA = Table((0.4, 0.6, 0.7, 0.8, 1.0), (0.5, 0.75, 1.0, 1.25, 1.5), (1.0, 2.0, 3.0, 4.0, 6.0))


class Snowfall(NamedTuple):
    """The flakes' noise, their zoom and threshold, their streaks, and how much of the image is kept."""

    mean: float
    std: float
    zoom: float
    threshold: float
    radius: float
    sigma: float
    kept: float


SNOW = Table(
    (
        Snowfall(0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        Snowfall(0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        Snowfall(0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        Snowfall(0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        Snowfall(0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    (
        Snowfall(0.1, 0.2, 1, 0.6, 8, 3, 0.8),
        Snowfall(0.1, 0.2, 1, 0.5, 10, 4, 0.8),
        Snowfall(0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
        Snowfall(0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
        Snowfall(0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
    ),
    (
        Snowfall(0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        Snowfall(0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        Snowfall(0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        Snowfall(0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        Snowfall(0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
)


class Frost(NamedTuple):
    """The weights of the image and of the ice."""

    image: float
    ice: float


FROST = Table(
    (Frost(1, 0.2), Frost(1, 0.3), Frost(0.9, 0.4), Frost(0.85, 0.4), Frost(0.75, 0.45)),
    (Frost(1, 0.3), Frost(0.9, 0.4), Frost(0.8, 0.45), Frost(0.75, 0.5), Frost(0.7, 0.55)),
    (Frost(1, 0.4), Frost(0.8, 0.6), Frost(0.7, 0.7), Frost(0.65, 0.7), Frost(0.6, 0.75)),
)


class Fog(NamedTuple):
    """The haze's strength, and the decay of its amplitude from one level of detail to the next."""

    strength: float
    decay: float


FOG = Table(
    (Fog(0.2, 3), Fog(0.5, 3), Fog(0.75, 2.5), Fog(1, 2), Fog(1.5, 1.75)),
    (Fog(0.4, 3), Fog(0.7, 3), Fog(1, 2.5), Fog(1.5, 2), Fog(2, 1.75)),
    (Fog(1.5, 2), Fog(2, 2), Fog(2.5, 1.7), Fog(2.5, 1.5), Fog(3, 1.4)),
)

BRIGHTNESS_SHIFT = Table((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5), (0.1, 0.2, 0.3, 0.4, 0.5))
CONTRAST_FACTOR = Table((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05), (0.4, 0.3, 0.2, 0.1, 0.05))


class Saturation(NamedTuple):
    """What the saturation is multiplied by, and what is added then."""

    gain: float
    offset: float


SATURATE = Table(
    (Saturation(0.3, 0), Saturation(0.1, 0), Saturation(1.5, 0), Saturation(2, 0.1), Saturation(2.5, 0.2)),
    (Saturation(0.3, 0), Saturation(0.1, 0), Saturation(2, 0), Saturation(5, 0.1), Saturation(30, 0.2)),
    (Saturation(0.3, 0), Saturation(0.1, 0), Saturation(2, 0), Saturation(5, 0.1), Saturation(20, 0.2)),
)


class Warp(NamedTuple):
    """How far, how smooth, and by how much the affine map's three points move."""

    reach: float
    sigma: float
    jitter: float


# At 224 the authors take fractions of 244 pixels.
ELASTIC = Table(
    (
        Warp(0, 0, 2.56),
        Warp(1.6, 6.4, 2.24),
        Warp(2.56, 1.92, 1.92),
        Warp(3.2, 1.28, 1.6),
        Warp(3.2, 0.96, 0.96),
    ),
    (
        Warp(0, 0, 5.12),
        Warp(3.2, 19.2, 3.84),
        Warp(6.4, 5.12, 3.84),
        Warp(6.4, 1.92, 1.92),
        Warp(10.24, 1.92, 1.28),
    ),
    (
        Warp(488, 170.8, 24.4),
        Warp(488, 19.52, 48.8),
        Warp(12.2, 2.44, 4.88),
        Warp(17.08, 2.44, 4.88),
        Warp(29.28, 2.44, 4.88),
    ),
)

PIXELATE_FACTOR = Table((0.95, 0.9, 0.85, 0.75, 0.65), (0.9, 0.8, 0.7, 0.6, 0.5), (0.6, 0.5, 0.4, 0.3, 0.25))
JPEG_QUALITY = Table((80, 65, 58, 50, 40), (65, 58, 50, 40, 25), (25, 18, 15, 10, 7))


class Splash(NamedTuple):
    """The noise the drops come from, its blur and threshold, and the drops' own level."""

    mean: float
    std: float
    blur: float
    threshold: float
    level: float
    mud: bool


SPATTER = Table(
    (
        Splash(0.62, 0.1, 0.7, 0.7, 0.5, mud=False),
        Splash(0.65, 0.1, 0.8, 0.7, 0.5, mud=False),
        Splash(0.65, 0.3, 1, 0.69, 0.5, mud=False),
        Splash(0.65, 0.1, 0.7, 0.69, 0.6, mud=True),
        Splash(0.65, 0.1, 0.5, 0.68, 0.6, mud=True),
    ),
    (
        Splash(0.62, 0.1, 0.7, 0.7, 0.6, mud=False),
        Splash(0.65, 0.1, 0.8, 0.7, 0.6, mud=False),
        Splash(0.65, 0.3, 1, 0.69, 0.6, mud=False),
        Splash(0.65, 0.1, 0.7, 0.68, 0.6, mud=True),
        Splash(0.65, 0.1, 0.5, 0.67, 0.6, mud=True),
    ),
    (
        Splash(0.65, 0.3, 4, 0.69, 0.6, mud=False),
        Splash(0.65, 0.3, 3, 0.68, 0.6, mud=False),
        Splash(0.65, 0.3, 2, 0.68, 0.5, mud=False),
        Splash(0.65, 0.3, 1, 0.65, 1.5, mud=True),
        Splash(0.67, 0.4, 1, 0.65, 1.5, mud=True),
    ),
)
