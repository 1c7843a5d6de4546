"""Where Pillow's box filter and its nearest pixel look, for images that are shrunk and enlarged again."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

WEIGHT_BITS = 22


class Boxes(NamedTuple):
    """An axis in boxes: int64 (boxes,) where each begins and ends and its pixels' weight, and (length,).

    `shown` says which box each pixel of the enlarged axis shows.
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
