"""Where the numbers of a value lie: images and parts of images in the lanes of vectors.

A vector register holds `LANES` numbers, and one instruction works on all of them. With as many images as
lanes, each lane has an image of its own. With fewer, images are cut into a grid of equal parts, and each
lane has one part of one image. So one image fills all lanes too, every load is aligned, and the same kernel
runs at every batch size: it sees small images, as many as there are lanes.

What a convolution sees beyond a part's edge lies in another lane. Around each part there is a border, which
is written once a value is complete: the edges of the neighbouring parts, and zeros outside of the image. So
the kernel knows no edges at all. An image that does not come out even leaves places of the last parts
empty; they are kept at zero likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from winninghand.engine.vectors import BYTES, LANES

Longs: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
Floats: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"
Booleans: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"


@dataclass(frozen=True)
class Grid:
    """How lanes are shared out: `images` images, each in `rows` × `columns` parts.

    There are `LANES` of them, or twice as many: of a vector of 16-bit numbers, or of two float32 vectors.
    """

    images: int
    rows: int
    columns: int
    lanes: int = LANES

    @property
    def parts(self) -> int:
        """Parts of an image."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Place:
    """How one value lies: its whole size, that of a part, and the border around each part.

    `repeated` is a value of one number per channel that all parts of an image hold alike. A vector holds one
    channel, float32, or four of them, as bytes, or one, of twice as many lanes, as 16-bit numbers: `packed`
    is 1, 4 or 2. A float32 value of twice as many lanes has two `sheets`, one behind the other: all channels
    of the even lanes, then of the odd ones.
    """

    channels: int
    height: int
    width: int
    rows: int
    columns: int
    above: int = 0
    below: int = 0
    left: int = 0
    right: int = 0
    repeated: bool = False
    packed: int = 1
    sheets: int = 1

    @property
    def together(self) -> int:
        """Channels in one vector."""
        return 4 if self.packed == 4 else 1

    @property
    def planes(self) -> int:
        """Vectors at each place of a part, in one sheet."""
        return -(-self.channels // self.together)

    @cached_property
    def pitch(self) -> int:
        """Bytes from one row to the next."""
        return (self.left + self.columns + self.right) * BYTES

    @cached_property
    def plane(self) -> int:
        """Bytes from one channel, or four, to the next: an odd number of vectors, for all sets of a cache."""
        vectors = (self.above + self.rows + self.below) * self.pitch // BYTES
        return (vectors | 1) * BYTES

    @property
    def sheet(self) -> int:
        """Bytes from one sheet to the next; 0 where there is one alone."""
        return self.planes * self.plane if self.sheets > 1 else 0

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return self.sheets * self.planes * self.plane

    @property
    def corner(self) -> int:
        """Bytes from the start of a channel to the first number that is no border."""
        return self.above * self.pitch + self.left * BYTES


def moves(place: Place, grid: Grid) -> tuple[Longs, Booleans]:
    """Return what fills the border: offsets (n, 2) to write and to read at, and masks (n, lanes).

    The offsets are from the start of a channel. A mask is true where the lane's place is inside of the image;
    all others get the fill.
    """
    offsets, masks = [], []
    width = 2 if place.packed == 2 else 4
    lane = np.arange(BYTES // width * place.sheets)
    used = lane < grid.images * grid.parts
    part_row, part_column = lane // grid.images // grid.columns, lane // grid.images % grid.columns
    for y in range(-place.above, place.rows + place.below):
        for x in range(-place.left, place.columns + place.right):
            inside = 0 <= y < place.rows and 0 <= x < place.columns
            down, right = (0, 0) if place.repeated else (y // place.rows, x // place.columns)
            if place.repeated:
                mask = used & inside
            else:
                row, column = part_row + down, part_column + right
                mask = used & (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
                mask &= row * place.rows + y % place.rows < place.height
                mask &= column * place.columns + x % place.columns < place.width
            to = place.corner + y * place.pitch + x * BYTES
            seen = place.corner + y % place.rows * place.pitch + x % place.columns * BYTES
            shift = grid.images * (down * grid.columns + right)
            for sheet in range(place.sheets):
                own = slice(sheet, None, place.sheets)
                if inside and mask[own][used[own]].all():
                    continue
                origin = to + sheet * place.sheet
                if mask[own].any():
                    lanes, other = divmod(sheet + shift, place.sheets)
                    origin = seen + other * place.sheet + width * lanes
                offsets.append((to + sheet * place.sheet, origin))
                masks.append(mask[own])
    return np.array(offsets, np.int64).reshape(-1, 2), np.array(masks, bool).reshape(-1, BYTES // width)


def window_counts(
    place: Place,
    grid: Grid,
    source: Place,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Floats:
    """Return how many of a window's places are in the image: (sheets, rows, columns, LANES) of the output."""
    axes = []
    for axis, (size, part, parts) in enumerate(
        ((source.height, place.rows, grid.rows), (source.width, place.columns, grid.columns))
    ):
        first = np.arange(part * parts) * stride[axis] - padding[axis]
        last = first + kernel[axis]
        axes.append(np.maximum(np.minimum(last, size) - np.maximum(first, 0), 1).reshape(parts, part))
    counts = axes[0][:, None, :, None] * axes[1][None, :, None, :]  # grid rows, grid columns, rows, columns
    counts = np.repeat(counts.reshape(grid.parts, place.rows, place.columns), grid.images, axis=0)
    whole = np.ones((grid.lanes, place.rows, place.columns), np.float32)
    whole[: len(counts)] = counts
    sheets = whole.reshape(LANES, -1, place.rows, place.columns)
    return np.ascontiguousarray(sheets.transpose(1, 2, 3, 0))
