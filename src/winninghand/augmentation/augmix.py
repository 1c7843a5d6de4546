"""`augmix`: a random mixture of short chains of operations, and predictions that must agree."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.augmentation.chains import mix_chains
from winninghand.augmentation.consistency import Chained
from winninghand.augmentation.domain import flip_and_crop
from winninghand.augmentation.operations import Operation

AUGMIX_OPERATIONS = (
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


class AugMix(Chained):
    """AugMix (Hendrycks et al. 2020), without the operations that overlap the test corruptions.

    After flip and crop, `width` chains of `depth` operations (−1: 1 to 3, drawn per chain) at
    levels up to `severity` are mixed with Dirichlet(`alpha`) weights, and their mixture with the
    image by a Beta(`alpha`, `alpha`) share. With `jsd` a batch has three views, the clean one and
    two augmented ones, and the loss is the clean view's cross-entropy plus `jsd_weight` times the
    Jensen–Shannon divergence among the three; without it there is one augmented view.
    """

    name: ClassVar[str] = "augmix"

    severity: float = Field(default=3.0, ge=LOWEST_LEVEL, le=HIGHEST_LEVEL)
    alpha: float = Field(default=1.0, ge=0.01)

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the clean view and two augmented ones of the same flip and crop; without JSD, one."""
        base = flip_and_crop(images, generator, self.padding, self.flip)
        count, height, width, _ = base.shape
        views = 3 if self.jsd else 1
        operations, magnitudes = self._chains(count, views, (height, width), generator)
        shares = draw_shares((count, views, self.width), self.alpha, generator)
        if self.jsd:
            shares[:, 0] = torch.eye(1 + self.width, device=base.device)[0]
        return mix_chains(base, operations, magnitudes, shares).movedim(-1, -3)

    def _chains(
        self, count: int, views: int, size: tuple[int, int], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the operations and magnitudes of all chains, (B, V, width, depth)."""
        shape = (count, views, self.width, self.steps)
        operations, magnitudes = draw_operations(shape, self.severity, size, generator)
        return self.cut(operations, Operation.IDENTITY, generator), magnitudes


def draw_operations(
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
    chosen = torch.randint(len(AUGMIX_OPERATIONS), shape, generator=generator, device=device)
    levels = torch.rand(shape, generator=generator, device=device)
    levels = LOWEST_LEVEL + (severity - LOWEST_LEVEL) * levels
    signs = 2 * torch.randint(2, shape, generator=generator, device=device) - 1

    strongest = torch.tensor([0, 0, 4, 256, 30, 0.3, 0.3, width / 3, height / 3], device=device)
    operations = torch.tensor(AUGMIX_OPERATIONS, device=device)[chosen]
    amounts = levels / HIGHEST_LEVEL * strongest[chosen]
    shear = (operations == Operation.SHEAR_X) | (operations == Operation.SHEAR_Y)
    amounts = torch.where(shear, amounts, amounts.trunc())
    magnitudes = torch.where(operations == Operation.POSTERIZE, 4 - amounts, signs * amounts)
    magnitudes = torch.where(operations == Operation.SOLARIZE, 256 - amounts, magnitudes)
    return operations, magnitudes


def draw_shares(shape: tuple[int, int, int], alpha: float, generator: torch.Generator) -> Tensor:
    """Return the shares of the image and of each chain, (B, V, 1 + W) for `shape` (B, V, W), which sum to 1.

    Chains share by Dirichlet(`alpha`) what the image leaves by Beta(`alpha`, `alpha`).
    """
    like = torch.full(shape, alpha, device=generator.device).double()
    weights = torch._sample_dirichlet(like, generator)
    mixed = torch._sample_dirichlet(torch.full_like(like[..., :1], alpha).expand(-1, -1, 2), generator)
    return torch.cat([mixed[..., :1], mixed[..., 1:] * weights], dim=-1).float()
