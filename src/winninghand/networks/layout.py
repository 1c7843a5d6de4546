"""In which memory layout a network sees its images: channels-last where that pays and is safe."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from winninghand.base.device import channels_last_pays, device_of
from winninghand.networks.catalog import Architecture

_SAFE_CHANNELS = 16


def takes_channels_last(network: nn.Module, device: torch.device) -> bool:
    """Say whether a network on a device is to see its images, and hold its weights, channels-last.

    Networks of the catalog do, and others where their own weights lie so: `x.view(len(x), -1)`, which many
    have, cannot take it. None does on a device where it does not pay, nor on a CPU with a layer for which
    it is not safe (see `has_unsafe_layer`).
    """
    if not channels_last_pays(device) or (device.type == "cpu" and has_unsafe_layer(network)):
        return False
    known = isinstance(getattr(network, "architecture", None), Architecture)
    return known or any(map(_lies_channels_last, network.parameters()))


def laid_out(images: Tensor, network: nn.Module) -> Tensor:
    """Return images (N, 3, H, W) in a layout that a network takes: as they are, or contiguous."""
    if images.is_contiguous() or takes_channels_last(network, device_of(network)):
        return images
    return images.contiguous()


def has_unsafe_layer(network: nn.Module) -> bool:
    """Say whether the backward pass of a layer corrupts the heap of a CPU where it runs channels-last.

    Such a layer is a convolution with a 1×1 kernel, a stride above 1 and fewer than 16 input channels.
    In float32 on a CPU with AVX-512, oneDNN's kernel for its backward pass writes where it must not:
    `Conv2d(8, 32, 1, stride=2)` on a batch of 8 images of 112 × 112 aborts, with PyTorch 2.13.0 and
    2.14.1. Under glibc's checks 1 to 15 input channels fail from 80 × 80, and with 8 output channels from
    56 × 56. Contiguous images, bf16, 16 input channels, other kernels and `ONEDNN_MAX_CPU_ISA=AVX2`
    never failed. Groups and larger strides were not seen to fail either, but are too rare to except.
    """
    return any(
        isinstance(layer, nn.Conv2d)
        and set(layer.kernel_size) == {1}
        and max(layer.stride) > 1
        and layer.in_channels // layer.groups < _SAFE_CHANNELS
        for layer in network.modules()
    )


def _lies_channels_last(weight: Tensor) -> bool:
    # A tensor of 1×1 kernels or of one channel lies both ways.
    return (
        weight.ndim == 4
        and weight.is_contiguous(memory_format=torch.channels_last)
        and not weight.is_contiguous()
    )
