"""Which part of an image a training sees: the random-resized crop."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from winninghand.images.resizing import Size, geometry

TRIES = 10
DRAWS = (TRIES, 4)
"""The shape of the numbers that one image takes."""
_AREA = (0.08, 1.0)
_RATIO = (math.log(3 / 4), math.log(4 / 3))


def random_box(own: Size, size: Size, draws: npt.NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of a part of an image of the size `own` (height, width), in pixels.

    `draws` is float32 (10, 4), uniform in [0, 1): in each row area, ratio, top and left. The area is 8% to
    100% of the image's, and the ratio of width to height 3/4 to 4/3 times that of `size`, uniform in its
    logarithm. The first row counts whose part lies in the image; where none does, it is the largest part in
    the middle that has the shape of `size`. So it is in torchvision's `RandomResizedCrop` (Szegedy et al.
    2015, section 6), which takes what is in the middle more loosely.
    """
    for area, ratio, down, right in draws.tolist():
        pixels = own[0] * own[1] * (_AREA[0] + area * (_AREA[1] - _AREA[0]))
        shape = math.exp(_RATIO[0] + ratio * (_RATIO[1] - _RATIO[0])) * size[1] / size[0]
        height, width = round(math.sqrt(pixels / shape)), round(math.sqrt(pixels * shape))
        if 0 < height <= own[0] and 0 < width <= own[1]:
            return int(down * (own[0] - height + 1)), int(right * (own[1] - width + 1)), height, width
    middle = geometry(own, size, "crop")
    return middle.top, middle.left, *middle.cut
