"""`trivialaugment`: one random operation at one random strength."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from winninghand.augmentation.chains import mix_chains
from winninghand.augmentation.domain import Clean, flip_and_crop
from winninghand.augmentation.operations import Operation

STRENGTHS = 31

# The magnitude at the first step, what the last of them adds to it, and whether the sign is drawn.
RANGES: dict[Operation, tuple[float, float, bool]] = {
    Operation.IDENTITY: (0, 0, False),
    Operation.AUTOCONTRAST: (0, 0, False),
    Operation.EQUALIZE: (0, 0, False),
    Operation.POSTERIZE: (8, -6, False),
    Operation.SOLARIZE: (256, -256, False),
    Operation.BRIGHTNESS: (1, 0.99, True),
    Operation.CONTRAST: (1, 0.99, True),
    Operation.COLOR: (1, 0.99, True),
    Operation.SHARPNESS: (1, 0.99, True),
    Operation.ROTATE: (0, 135, True),
    Operation.SHEAR_X: (0, 0.99, True),
    Operation.SHEAR_Y: (0, 0.99, True),
    Operation.TRANSLATE_X: (0, 32, True),
    Operation.TRANSLATE_Y: (0, 32, True),
}
WHOLE = (Operation.POSTERIZE, Operation.TRANSLATE_X, Operation.TRANSLATE_Y)


class TrivialAugment(Clean):
    """TrivialAugment (Müller & Hutter 2021) over its wide space: it has no parameters of its own.

    After flip and crop, each image goes through one of 14 operations at one of 31 strengths, all
    equally likely. Geometric operations interpolate bilinearly. Brightness and contrast, which
    are corruptions of the robustness benchmark, are among the operations.
    """

    name: ClassVar[str] = "trivialaugment"
    overlaps: ClassVar[frozenset[str]] = frozenset({"brightness", "contrast"})

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view: the images, flipped, cropped and changed by one operation each."""
        base = flip_and_crop(images, generator, self.padding, self.flip)
        shape, device = (len(base), 1, 1, 1), base.device
        chosen = torch.randint(len(RANGES), shape, generator=generator, device=device)
        steps = torch.randint(STRENGTHS, shape, generator=generator, device=device) / (STRENGTHS - 1)
        signs = 2 * torch.randint(2, shape, generator=generator, device=device) - 1

        first, reach, either_way = torch.tensor(list(RANGES.values()), device=device)[chosen].unbind(-1)
        operations = torch.tensor(list(RANGES), device=device)[chosen]
        magnitudes = first + torch.where(either_way > 0, signs, 1) * reach * steps
        whole = torch.isin(operations, torch.tensor(WHOLE, device=device))
        magnitudes = torch.where(whole, magnitudes.round(), magnitudes)
        shares = torch.tensor([0.0, 1.0], device=device).expand(len(base), 1, 2)
        return mix_chains(base, operations, magnitudes, shares).movedim(-1, -3)
