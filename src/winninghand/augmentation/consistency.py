"""What domains share whose views of an image should get the same predictions: settings, chains, the loss."""

from __future__ import annotations

import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn import functional

from winninghand.augmentation.domain import Clean

SMALLEST_PROBABILITY = 1e-7
LONGEST_CHAIN = 3


class Consistent(Clean):
    """With `jsd` a batch has three views, the clean one and two that show the domain; without it, one.

    The loss is the clean view's cross-entropy plus `jsd_weight` times the divergence among the three.
    """

    jsd: bool = True
    jsd_weight: float = Field(default=12.0, ge=0)

    def loss(self, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the first view's cross-entropy, with JSD plus the weighted divergence."""
        return consistency_loss(logits, labels, label_smoothing, self.jsd_weight)


class Chained(Consistent):
    """Views are mixtures of `width` chains of `depth` operations; −1 is 1 to 3, drawn for each chain."""

    width: int = Field(default=3, ge=1, le=16)
    depth: int = Field(default=-1, ge=-1, le=16)

    @field_validator("depth")
    @classmethod
    def _some_depth(cls, depth: int) -> int:
        if depth == 0:
            raise ValueError("use a whole number from 1 up, or -1 for 1 to 3 at random")
        return depth

    @property
    def steps(self) -> int:
        """The number of operations of the longest chain."""
        return self.depth if self.depth > 0 else LONGEST_CHAIN

    def cut(self, operations: Tensor, nothing: int, generator: torch.Generator) -> Tensor:
        """Return operations (…, steps) with `nothing` beyond the depth of each chain."""
        if self.depth > 0:
            return operations
        *chains, steps = operations.shape
        device = generator.device
        depths = torch.randint(1, steps + 1, (*chains, 1), generator=generator, device=device)
        return operations.masked_fill(torch.arange(steps, device=device) >= depths, nothing)


def consistency_loss(logits: Tensor, labels: Tensor, label_smoothing: float, weight: float) -> Tensor:
    """Return the first view's cross-entropy plus `weight` times the divergence among all views.

    `logits` is (V, B, classes) and the first view the clean one (Hendrycks et al. 2020, section 3).
    A single view has no divergence: its loss is the cross-entropy alone.
    """
    if len(logits) == 1:
        return functional.cross_entropy(logits[0], labels, label_smoothing=label_smoothing)
    cross_entropy = functional.cross_entropy(logits[0].float(), labels, label_smoothing=label_smoothing)
    return cross_entropy + weight * jensen_shannon(logits)


def jensen_shannon(logits: Tensor) -> Tensor:
    """Return the mean divergence, in nats, of the predictions of V views from their mixture.

    `logits` is (V, B, classes); the mixture is clamped at 1e-7 (Hendrycks et al. 2020, equation 1).
    """
    log_predictions = functional.log_softmax(logits.float(), dim=-1)
    mixture = log_predictions.exp().mean(0).clamp(SMALLEST_PROBABILITY, 1).log()
    divergences = functional.kl_div(
        mixture.expand_as(log_predictions), log_predictions, reduction="none", log_target=True
    )
    return divergences.sum(-1).mean()
