"""Batch-norms over the images of all processes of a training (as `torch.nn.SyncBatchNorm`, also on CPUs)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from winninghand.training.neighbours import Sum


class SynchronisedNorms(TorchFunctionMode):
    """Within it, batch-norms in training mode take mean and variance over the batches of all processes.

    All processes run the same network, forwards and backwards. Modules stay as they are. `total` replaces a
    tensor by its sum over all processes.
    """

    def __init__(self, total: Sum) -> None:
        super().__init__()
        self._total = total

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 (whatever the function returns)
        """Replace batch-norms that measure their batch, and leave all else as it is."""
        if func is functional.batch_norm:
            return _batch_norm(self._total, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(
    total: Sum,
    batch: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Do what `torch.nn.functional.batch_norm` does, over the batches of all processes."""
    if not training:
        return functional.batch_norm(batch, running_mean, running_var, weight, bias, False, momentum, eps)
    normalised, mean, variance, count = _Norm.apply(batch, weight, bias, eps, total)  # type: ignore[no-untyped-call]
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = variance * (count / (count - 1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    return normalised  # type: ignore[no-any-return]


class _Norm(torch.autograd.Function):
    """The normalisation of a batch (N, C, …) by the statistics of the batches of all processes."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        batch: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        total: Sum,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the normalised batch, mean and biased variance (C,), and the count behind each."""
        mean, variance, count = _moments(batch, total)
        ctx.save_for_backward(batch, weight, mean, variance, count)
        ctx.eps, ctx.total = eps, total
        ctx.mark_non_differentiable(mean, variance, count)
        normalised = functional.batch_norm(batch, mean, variance, weight, bias, False, 0.0, eps)
        return normalised, mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the gradients of batch, weight and bias; the latter two over this process's batch alone."""
        batch, weight, mean, variance, count = ctx.saved_tensors
        # As if mean and variance were constants; what they add follows.
        of_batch, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, batch, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        both = torch.stack([of_bias, of_weight]).float()
        ctx.total(both)
        slope, tilt = both / count
        inverse = (variance + ctx.eps).rsqrt()
        scale = inverse if weight is None else inverse * weight
        shape = (1, -1) + (1,) * (batch.ndim - 2)
        by_batch = (scale * tilt * inverse).view(shape)
        constant = (scale * (slope - tilt * inverse * mean)).view(shape)
        of_batch = of_batch.sub_(constant.to(of_batch.dtype)).addcmul_(
            batch.to(of_batch.dtype), by_batch.to(of_batch.dtype), value=-1
        )
        needs = ctx.needs_input_grad
        return of_batch, of_weight if needs[1] else None, of_bias if needs[2] else None, None, None


def _moments(batch: Tensor, total: Sum) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and biased variance of each channel over all processes, float32 (C,), and the count."""
    values = batch.detach().float()
    axes = [axis for axis in range(batch.ndim) if axis != 1]
    # Two passes, since on CPUs `torch.var_mean` takes five times as long over several axes.
    mean = values.mean(axes)
    shape = (1, -1) + (1,) * (batch.ndim - 2)
    variance = (values - mean.view(shape)).square_().mean(axes)
    count = batch.numel() // batch.shape[1]
    # Sums in double precision: the square of a mean may be far above a variance.
    wide = mean.double()
    sums = torch.cat([wide * count, (variance.double() + wide**2) * count, wide.new_full((1,), count)])
    total(sums)
    everywhere = sums[-1]
    mean, squares = (sums[:-1] / everywhere).chunk(2)
    return mean.float(), (squares - mean**2).clamp(min=0).float(), everywhere.float()
