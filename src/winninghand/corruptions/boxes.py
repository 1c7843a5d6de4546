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

UInt8Array = npt.NDArray[np.uint8]
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
    images: UInt8Array,
    down: Int64Array,
    across: Int64Array,
    rows: Int64Array,
    columns: Int64Array,
    result: UInt8Array,
) -> None:
    """Average images (N, H, W, C) in boxes, across and then down, and show the boxes in `result`.

    `down` and `across` are the axes' `edges`, `rows` and `columns` which box each pixel shows.
    """
    count, height, width, channels = images.shape
    length, narrow = width * channels, across.shape[1] * channels
    averaged, levels = np.empty((height, narrow), np.uint8), np.empty((down.shape[1], narrow), np.uint8)
    # Unsigned, here and below: such places never count from the end, which costs a look at each.
    shown = np.empty(length, np.uint64)
    for place in range(length):
        shown[place] = columns[place // channels] * channels + place % channels
    for image in range(count):
        average_across(images[image].reshape(height, length), across, channels, averaged)
        average_down(averaged, down, levels)
        lines = result[image].reshape(height, length)
        for row in range(height):
            line, box = lines[row], rows[row]
            if row > 0 and rows[row - 1] == box:
                same = lines[row - 1]
                for place in range(length):
                    line[place] = same[place]
                continue
            for place in range(length):
                line[place] = levels[box, shown[place]]


@compiled
def average_across(lines: UInt8Array, edges: Int64Array, channels: int, averaged: UInt8Array) -> None:
    """Write the means of boxes of pixels next to each other, for lines (H, W · C), into (H, boxes · C)."""
    length, narrow = lines.shape[1], averaged.shape[1]
    # Boxes have one length or two, which differ by one: sums of both begin at every pixel, for boxes to pick.
    few = (edges[1] - edges[0]).min()
    sums, total = np.empty(2 * length, np.int32), np.empty(narrow, np.int32)
    fewer, more = sums[:length], sums[length:]
    picked, weights = np.empty(narrow, np.uint64), np.empty(narrow, np.int64)
    for place in range(narrow):
        box, channel = divmod(place, channels)
        is_longer = edges[1, box] - edges[0, box] - few
        picked[place] = is_longer * length + edges[0, box] * channels + channel
        weights[place] = edges[2, box]
    for row in range(len(lines)):
        pixels = lines[row]
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


@compiled
def average_down(lines: UInt8Array, edges: Int64Array, averaged: UInt8Array) -> None:
    """Write the means of boxes of lines (H, …) into (boxes, …)."""
    total = np.empty(lines.shape[1], np.int32)
    for box in range(len(averaged)):
        first, end, weight = edges[:, box]
        total[:] = 0
        for row in range(first, end):
            add_line(total, lines[row])
        for place in range(len(total)):
            averaged[box, place] = (total[place] * weight + HALF) >> WEIGHT_BITS


@compiled
def add_line(total: npt.NDArray[np.int32], added: UInt8Array) -> None:
    """Add a line to another, as far as it reaches."""
    for place in range(len(added)):
        total[place] += added[place]
