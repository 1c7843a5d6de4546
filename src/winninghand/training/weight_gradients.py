"""Gradients of convolutions' weights as matrix products, where images have become small; on the CPU.

oneDNN forms these gradients row by row of what a convolution returns. A row of four pixels leaves most of a
vector empty: 256 → 256 channels on 2×2 pixels take thirteen times as long as the product of all patches with
all gradients, which is the same sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

# Up to so many pixels in a row the product is faster, however many channels there are.
_NARROW = {torch.bfloat16: 4, torch.float32: 2}


class SmallPlanes(TorchFunctionMode):
    """Within it, convolutions that return small planes on the CPU form their weights' gradients by a product.

    What they return, and the gradients of their inputs, are PyTorch's own. It knows no second derivatives.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 (whatever the function returns)
        """Replace a convolution where that pays, and leave all else as it is."""
        if func is torch.conv2d and not kwargs and _pays(*args):
            image, weight, bias, *geometry = args[:6]
            return _Convolution.apply(*_cast(image, weight, bias), *geometry)  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))


def _pays(
    image: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,  # noqa: ANN401
    padding: Any = 0,  # noqa: ANN401
    dilation: Any = 1,  # noqa: ANN401
    groups: int = 1,
) -> bool:
    """Say whether the product is faster for a convolution that is called as `torch.nn.Conv2d` calls it."""
    plain = all(isinstance(value, tuple) for value in (stride, padding, dilation))
    if not plain or groups != 1 or image.device.type != "cpu" or image.ndim != 4 or not weight.requires_grad:
        return False
    reach = dilation[1] * (weight.shape[3] - 1)
    width = (image.shape[3] + 2 * padding[1] - reach - 1) // stride[1] + 1
    return bool(0 < width <= _NARROW.get(_precision(image), 0))


def _precision(image: Tensor) -> torch.dtype:
    """Return the numbers in which a convolution of an image computes."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else image.dtype


def _cast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Return tensors as autocast would hand them to a convolution."""
    return tuple(one if one is None else one.to(_precision(one)) for one in tensors)


class _Convolution(torch.autograd.Function):
    """A convolution without groups, whose weights' gradient is one matrix product."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        image: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
    ) -> Tensor:
        """Map (N, I, H, W) to (N, O, H', W')."""
        ctx.save_for_backward(image, weight)
        ctx.geometry = stride, padding, dilation
        return torch.conv2d(image, weight, bias, stride, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the gradients of image, weight and bias."""
        image, weight = ctx.saved_tensors
        stride, padding, dilation = ctx.geometry
        of_image = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            wanted = [True, False, False]
            of_image = torch.ops.aten.convolution_backward(
                gradient, image, weight, None, stride, padding, dilation, False, [0, 0], 1, wanted
            )[0]
        if ctx.needs_input_grad[1]:
            channels = gradient.movedim(1, -1).flatten(0, 2)
            patches = _patches(image, weight.shape[2:], stride, padding, dilation)
            product = channels.T @ patches.flatten(0, 2).flatten(1)
            of_weight = product.unflatten(1, patches.shape[3:]).movedim(-1, 1)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3))
        return of_image, of_weight, of_bias, None, None, None


def _patches(
    image: Tensor,
    kernel: torch.Size,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    """Return (N, H', W', kernel height, kernel width, I): what each output pixel sees."""
    padded = nn.functional.pad(image, (padding[1], padding[1], padding[0], padding[0]))
    for dimension, (size, step, gap) in enumerate(zip(kernel, stride, dilation, strict=True), 2):
        padded = padded.unfold(dimension, gap * (size - 1) + 1, step)[..., ::gap]
    return padded.movedim(1, -1)
