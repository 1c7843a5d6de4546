"""`augmix`: a random mixture of short chains of operations, and predictions that must agree."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn import functional

from winninghand.augmentation.clean import Clean
from winninghand.augmentation.domain import DOMAINS
from winninghand.augmentation.flip_and_crop import flip_and_crop
from winninghand.augmentation.jensen_shannon import jensen_shannon
from winninghand.augmentation.operations import Operation, apply
from winninghand.augmentation.operations.nine import HIGHEST_LEVEL, LOWEST_LEVEL, draw_nine

LONGEST_CHAIN = 3


@DOMAINS.register("augmix")
class AugMix(Clean):
    """AugMix (Hendrycks et al. 2020), without the operations that overlap the test corruptions.

    After flip and crop, `width` chains of `depth` operations (−1: 1 to 3, drawn per chain) at
    levels up to `severity` are mixed with Dirichlet(`alpha`) weights, and their mixture with the
    image by a Beta(`alpha`, `alpha`) share. With `jsd` a batch has three views, the clean one and
    two augmented ones, and the loss is the clean view's cross-entropy plus `jsd_weight` times the
    Jensen–Shannon divergence among the three; without it there is one augmented view.
    """

    name: ClassVar[str] = "augmix"

    width: int = Field(default=3, ge=1, le=16)
    depth: int = Field(default=-1, ge=-1, le=16)
    severity: float = Field(default=3.0, ge=LOWEST_LEVEL, le=HIGHEST_LEVEL)
    alpha: float = Field(default=1.0, ge=0.01)
    jsd: bool = True
    jsd_weight: float = Field(default=12.0, ge=0)

    @field_validator("depth")
    @classmethod
    def _some_depth(cls, depth: int) -> int:
        if depth == 0:
            raise ValueError("use a whole number from 1 up, or -1 for 1 to 3 at random")
        return depth

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the clean view and two augmented ones of the same flip and crop; without JSD, one."""
        base = flip_and_crop(images, generator, self.padding, self.flip)
        count, height, width, _ = base.shape
        clean, augmented = (1, 2) if self.jsd else (0, 1)
        chains, shares = self._chains(base, augmented, generator)
        views = torch.empty(clean + augmented, count, height, width, 3, device=base.device)
        original = base.float().div_(255)
        views[:clean] = original
        mixtures = views[clean:]
        torch.mul(original, shares[..., 0, None, None, None], out=mixtures)
        for chain in range(self.width):
            mixtures.addcmul_(chains[:, :, chain].float(), shares[..., chain + 1, None, None, None] / 255)
        return views.movedim(-1, -3)

    def loss(self, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the clean view's cross-entropy plus the weighted divergence; without JSD, the former."""
        if not self.jsd:
            return super().loss(logits, labels, label_smoothing)
        cross_entropy = functional.cross_entropy(logits[0].float(), labels, label_smoothing=label_smoothing)
        return cross_entropy + self.jsd_weight * jensen_shannon(logits)

    def _chains(self, base: Tensor, augmented: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the ends of the chains, uint8 (A, B, width, H, W, 3), and the shares (A, B, 1 + width).

        The first share is the unchanged image's; the shares of a view sum to 1.
        """
        count, height, width, _ = base.shape
        chains = augmented * self.width
        steps = self.depth if self.depth > 0 else LONGEST_CHAIN
        operations, magnitudes = draw_nine((count, chains, steps), self.severity, (height, width), generator)
        if self.depth < 0:
            depths = torch.randint(
                1, LONGEST_CHAIN + 1, (count, chains, 1), generator=generator, device=base.device
            )
            beyond = torch.arange(steps, device=base.device) >= depths
            operations = operations.masked_fill(beyond, Operation.IDENTITY)
        ends = apply(base, operations, magnitudes).unflatten(1, (augmented, self.width)).transpose(0, 1)
        return ends, self._shares((augmented, count), generator)

    def _shares(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        concentrations = torch.full((*shape, self.width), self.alpha, device=generator.device).double()
        weights = torch._sample_dirichlet(concentrations, generator)
        mixed = torch._sample_dirichlet(torch.full_like(concentrations[..., :2], self.alpha), generator)
        return torch.cat([mixed[..., :1], mixed[..., 1:] * weights], dim=-1).float()
