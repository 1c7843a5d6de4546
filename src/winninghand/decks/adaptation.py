"""Batch-norm adaptation: at test time, statistics of the batch are blended with the stored ones."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from winninghand.base.errors import InputError

Model = TypeVar("Model", bound=nn.Module)


class AdaptiveBatchNorm2d(nn.BatchNorm2d):
    """A batch norm that, in evaluation mode, blends batch and running statistics by batch size.

    With n images in the batch and a prior of N images, the mean is (N · stored + n · batch) / (N + n).
    The variance is blended likewise (Schneider et al. 2020, arXiv:2006.16971, equation 3).
    """

    adaptation_prior: float

    def forward(self, batch: Tensor) -> Tensor:
        """Return the normalised batch (n, channels, height, width)."""
        if self.training or self.running_mean is None or self.running_var is None:
            return super().forward(batch)
        variance, mean = torch.var_mean(batch.detach(), dim=(0, 2, 3), correction=0)
        share = len(batch) / (len(batch) + self.adaptation_prior)
        mean = self.running_mean.lerp(mean, share)
        variance = self.running_var.lerp(variance, share)
        return functional.batch_norm(batch, mean, variance, self.weight, self.bias, eps=self.eps)


def with_bn_adaptation(model: Model, prior: float = 16.0) -> Model:
    """Return a copy of a card or deck whose batch norms adapt to each batch they see.

    `prior` > 0 is the number of images that the stored statistics count for. A card of a deck adapts
    to the images that it is played on. Weights and files stay as they are. Raises `InputError`
    for a prior that is no such number, and for a model without batch norms.
    """
    if not 0 < prior < float("inf"):
        raise InputError(
            f"the prior of batch-norm adaptation must be a number of images above 0, not {prior}"
        )
    result = copy.deepcopy(model)
    norms = [module for module in result.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        raise InputError("the model has no batch norms to adapt; leave the adaptation off")
    for norm in norms:
        # The class alone changes, so that names, parameters and settings stay what they were.
        norm.__class__ = AdaptiveBatchNorm2d
        cast("AdaptiveBatchNorm2d", norm).adaptation_prior = prior
    return result
