"""The nine operations of AugMix, drawn with their levels; PixMix uses the same."""

from __future__ import annotations

import torch
from torch import Tensor

from winninghand.augmentation.operations.operation import Operation

NINE = (
    Operation.AUTOCONTRAST,
    Operation.EQUALIZE,
    Operation.POSTERIZE,
    Operation.SOLARIZE,
    Operation.ROTATE,
    Operation.SHEAR_X,
    Operation.SHEAR_Y,
    Operation.TRANSLATE_X,
    Operation.TRANSLATE_Y,
)
LOWEST_LEVEL, HIGHEST_LEVEL = 0.1, 10.0


def draw_nine(
    shape: tuple[int, ...], severity: float, size: tuple[int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return operations, int64, and their magnitudes, float32, both of `shape` and drawn one by one.

    Levels are uniform between 0.1 and `severity`. At level 10 posterize keeps no bits (4 at level
    0), solarize inverts everything, rotate turns 30 degrees, shears move 0.3 pixels per pixel, and
    translations a third of `size`, height and width; geometric operations go either way. All but
    the shears are cut off to whole numbers (Hendrycks et al. 2020, appendix C and its code).
    """
    device = generator.device
    height, width = size
    chosen = torch.randint(len(NINE), shape, generator=generator, device=device)
    levels = torch.rand(shape, generator=generator, device=device)
    levels = LOWEST_LEVEL + (severity - LOWEST_LEVEL) * levels
    signs = 2 * torch.randint(2, shape, generator=generator, device=device) - 1

    strongest = torch.tensor([0, 0, 4, 256, 30, 0.3, 0.3, width / 3, height / 3], device=device)
    operations = torch.tensor(NINE, device=device)[chosen]
    amounts = levels / HIGHEST_LEVEL * strongest[chosen]
    shear = (operations == Operation.SHEAR_X) | (operations == Operation.SHEAR_Y)
    amounts = torch.where(shear, amounts, amounts.trunc())
    magnitudes = torch.where(operations == Operation.POSTERIZE, 4 - amounts, signs * amounts)
    magnitudes = torch.where(operations == Operation.SOLARIZE, 256 - amounts, magnitudes)
    return operations, magnitudes
