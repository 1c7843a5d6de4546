"""The operations, and what a magnitude means for each."""

from __future__ import annotations

from enum import IntEnum


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
