"""Batch-norm adaptation: at test time, statistics of the batch are blended with the stored ones."""

from __future__ import annotations

from numbers import Real
from os import PathLike
from pathlib import Path
from typing import TypeVar, cast, overload

import torch
from torch import Tensor, nn
from torch.nn import functional

from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.decks.deck import Deck
from winninghand.decks.opening import load
from winninghand.networks.entering import copied

Model = TypeVar("Model", bound=nn.Module)


class _Adaptive(nn.modules.batchnorm._BatchNorm):
    """A batch norm that, in evaluation mode, blends batch and running statistics by batch size.

    With n images in the batch and a prior of N images, the mean is (N · stored + n · batch) / (N + n).
    The variance is blended likewise (Schneider et al. 2020, arXiv:2006.16971, equation 3).
    """

    adaptation_prior: float

    def forward(self, batch: Tensor) -> Tensor:
        """Return the normalised batch (n, channels, …)."""
        if self.training or self.running_mean is None or self.running_var is None:
            return super().forward(batch)
        dimensions = (0, *range(2, batch.ndim))
        variance, mean = torch.var_mean(batch.detach(), dim=dimensions, correction=0)
        share = len(batch) / (len(batch) + self.adaptation_prior)
        mean = self.running_mean.lerp(mean.to(self.running_mean), share)
        variance = self.running_var.lerp(variance.to(self.running_var), share)
        return functional.batch_norm(batch, mean, variance, self.weight, self.bias, eps=self.eps)


class AdaptiveBatchNorm1d(_Adaptive, nn.BatchNorm1d):
    """See `_Adaptive`."""


class AdaptiveBatchNorm2d(_Adaptive, nn.BatchNorm2d):
    """See `_Adaptive`."""


class AdaptiveBatchNorm3d(_Adaptive, nn.BatchNorm3d):
    """See `_Adaptive`."""


# Torch's own, and no class derived from them: what else such a class does would be lost.
_ADAPTIVE: dict[type[nn.Module], type[_Adaptive]] = {
    nn.BatchNorm1d: AdaptiveBatchNorm1d,
    nn.BatchNorm2d: AdaptiveBatchNorm2d,
    nn.BatchNorm3d: AdaptiveBatchNorm3d,
    **{one: one for one in (AdaptiveBatchNorm1d, AdaptiveBatchNorm2d, AdaptiveBatchNorm3d)},
}


@overload
def with_bn_adaptation(model: Model, prior: float = 16.0) -> Model: ...
@overload
def with_bn_adaptation(model: Path | str, prior: float = 16.0) -> Card | Deck: ...
def with_bn_adaptation(model: nn.Module | Path | str, prior: float = 16.0) -> nn.Module:
    """Return a copy of a card or deck, which may be given by its path, whose batch norms adapt to each batch.

    `prior` > 0 is the number of images that the stored statistics count for. A card of a deck adapts
    to the images that it is played on. Weights and files stay as they are. Raises `InputError`
    for a prior that is no such number, for a model without batch norms, and, by its name, for a norm with
    running statistics that is of another class than torch's `BatchNorm1d`, `2d` or `3d`.
    """
    if isinstance(prior, bool) or not isinstance(prior, Real) or not 0 < prior < float("inf"):
        raise InputError(
            f"the prior of batch-norm adaptation must be a number of images above 0, not {prior!r}"
        )
    number = prior if isinstance(prior, int | float) else float(prior)
    result = copied(load(model) if isinstance(model, str | PathLike) else model)
    norms = {
        name: part for name, part in result.named_modules() if part._buffers.get("running_var") is not None
    }
    if not norms:
        raise InputError("the model has no batch norms to adapt; leave the adaptation off")
    for name, norm in norms.items():
        if type(norm) not in _ADAPTIVE:
            raise InputError(f"{name!r} is of the class {type(norm).__name__}, which cannot be adapted")
        # The class alone changes, so that names, parameters and settings stay what they were.
        norm.__class__ = _ADAPTIVE[type(norm)]
        cast("_Adaptive", norm).adaptation_prior = number
    return result
