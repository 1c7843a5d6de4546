"""The operations on images, what a magnitude means for each, and the affine maps of the geometric ones."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor


class Operation(IntEnum):
    """An operation on one uint8 image; its value stands for it in tensors and in compiled code.

    | operations | magnitude |
    | --- | --- |
    | identity, autocontrast, equalize | none |
    | posterize | bits that are kept, 0..8 |
    | solarize | levels from this one up are inverted, 0..256 |
    | brightness, contrast, color, sharpness | 1 keeps the image, 0 takes the property away |
    | rotate | degrees, counter-clockwise about the centre |
    | shear_x, shear_y | pixels per pixel |
    | translate_x, translate_y | pixels towards the left, or the top |

    What a geometric operation uncovers is black; in between it interpolates bilinearly.
    """

    IDENTITY = 0
    AUTOCONTRAST = 1
    EQUALIZE = 2
    POSTERIZE = 3
    SOLARIZE = 4
    BRIGHTNESS = 5
    CONTRAST = 6
    COLOR = 7
    SHARPNESS = 8
    ROTATE = 9
    SHEAR_X = 10
    SHEAR_Y = 11
    TRANSLATE_X = 12
    TRANSLATE_Y = 13


def affine_maps(operations: Tensor, magnitudes: Tensor, height: int, width: int) -> Tensor:
    """Return the maps (…, 2, 3), float64, from output to input coordinates in pixels.

    Operations without a geometry, of the same shape (…) as the magnitudes, get the identity.
    """
    amounts = magnitudes.double()
    zero = torch.zeros_like(amounts)

    def only(operation: Operation) -> Tensor:
        return torch.where(operations == operation, amounts, zero)

    angles = only(Operation.ROTATE).remainder(360).deg2rad()
    # As in Pillow, down to the order of sums below: sin 30° is ½ without its last digit.
    cosine, sine = angles.cos().round(decimals=15), angles.sin().round(decimals=15)
    x, y = width / 2, height / 2
    across = torch.stack(
        [
            cosine,
            only(Operation.SHEAR_X) - sine,
            only(Operation.TRANSLATE_X) + (sine * y - cosine * x + x),
        ],
        dim=-1,
    )
    down = torch.stack(
        [
            only(Operation.SHEAR_Y) + sine,
            cosine,
            only(Operation.TRANSLATE_Y) + (-sine * x - cosine * y + y),
        ],
        dim=-1,
    )
    return torch.stack([across, down], dim=-2)
