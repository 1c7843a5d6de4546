"""Images shrunk by Pillow's box filter and enlarged again by its nearest pixel."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.base.compiled import compiled

Int64Array = npt.NDArray[np.int64]

# Pillow's weights are whole numbers; half of what is cut off rounds.
WEIGHT_BITS = 22
HALF = 2 ** (WEIGHT_BITS - 1)


class Boxes(NamedTuple):
    """An axis in boxes.

    `edges`, int64 (3, boxes), says where each begins and ends and its pixels' weight; `shown`, (length,),
    which box each pixel of the enlarged axis shows.
    """

    edges: Tensor
    shown: Tensor


@lru_cache(maxsize=64)
def boxes(length: int, factor: float) -> Boxes:
    """Return the boxes of an axis that is shrunk by a factor below 1 and enlarged again."""
    count = max(1, int(length * factor))
    edges = torch.tensor([_edges(box, length / count) for box in range(count)]).T.contiguous()
    return Boxes(edges, torch.tensor(_shown(length, count)))


def _edges(box: int, width: float) -> tuple[int, int, int]:
    """Return the first pixel of a box, the one behind its last, and the weight of each."""
    centre = (box + 0.5) * width
    first, end = int(centre - width / 2 + 0.5), int(centre + width / 2 + 0.5)
    # Pillow's rounding decides whether a pixel whose centre lies on the box's edge belongs to it.
    inside = [place for place in range(first, end) if -0.5 < (place - centre + 0.5) * (1 / width) <= 0.5]
    return inside[0], inside[-1] + 1, int(0.5 + 2**WEIGHT_BITS / len(inside))


def _shown(length: int, count: int) -> list[int]:
    """Return the box in which each pixel's centre lies."""
    # Pillow adds step to step: its rounding decides where a centre lies between two boxes.
    step = count / length
    place, shown = step / 2, []
    for _ in range(length):
        shown.append(math.floor(place))
        place += step
    return shown


@compiled
def pixelated(
    images: npt.NDArray[np.uint8],
    down: Int64Array,
    across: Int64Array,
    rows: Int64Array,
    columns: Int64Array,
    result: npt.NDArray[np.uint8],
) -> None:
    """Average images (N, H, W, C) in boxes, across and then down, and show the boxes in `result`.

    `down` and `across` (3, boxes) say where each box begins and ends on its axis, and the weight of its
    pixels; `rows` and `columns` which box each of the axis's pixels shows.
    """
    count, height, width, channels = images.shape
    length, narrow = width * channels, across.shape[1] * channels
    # Boxes are of two lengths at most: sums of both kinds begin at every pixel, and boxes pick from them.
    few = (across[1] - across[0]).min()
    sums = np.empty(2 * length, np.int32)
    fewer, more = sums[:length], sums[length:]
    # Unsigned, so that no place counts from the end.
    picked, weights = np.empty(narrow, np.uint64), np.empty(narrow, np.int64)
    for place in range(narrow):
        box, channel = divmod(place, channels)
        longer = across[1, box] - across[0, box] - few
        picked[place] = longer * length + across[0, box] * channels + channel
        weights[place] = across[2, box]
    shown = np.empty(length, np.uint64)
    for place in range(length):
        shown[place] = columns[place // channels] * channels + place % channels
    averaged = np.empty((height, narrow), np.uint8)
    total, levels = np.empty(narrow, np.int32), np.empty(narrow, np.uint8)
    for image in range(count):
        for row in range(height):
            pixels = images[image, row].reshape(length)
            for place in range(length):
                fewer[place] = pixels[place]
            for step in range(1, few):
                add_line(fewer, pixels[step * channels :])
            for place in range(length):
                more[place] = fewer[place]
            add_line(more, pixels[few * channels :])
            for place in range(narrow):
                total[place] = sums[picked[place]]
            for place in range(narrow):
                averaged[row, place] = (total[place] * weights[place] + HALF) >> WEIGHT_BITS
        upper = 0
        for box in range(down.shape[1]):
            total[:] = 0
            for row in range(down[0, box], down[1, box]):
                add_line(total, averaged[row])
            weight = down[2, box]
            for place in range(narrow):
                levels[place] = (total[place] * weight + HALF) >> WEIGHT_BITS
            first = result[image, upper].reshape(length)
            for place in range(length):
                first[place] = levels[shown[place]]
            lower = upper + 1
            while lower < height and rows[lower] == box:
                same = result[image, lower].reshape(length)
                for place in range(length):
                    same[place] = first[place]
                lower += 1
            upper = lower


@compiled
def add_line(total: npt.NDArray[np.int32], added: npt.NDArray[np.uint8]) -> None:
    """Add a line to another, as far as it reaches."""
    for place in range(len(added)):
        total[place] += added[place]
