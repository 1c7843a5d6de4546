"""DeepMind's wide ResNets: Gowal et al. 2020, arXiv:2010.03593; Rebuffi et al. 2021, arXiv:2103.01946.

They differ from `wideresnet` in the activation, and in what strided convolutions see: TensorFlow's `SAME`
padding. Parameters have the names of their own code and RobustBench's, so that published weights load.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, TypeAlias

from torch import Tensor, nn
from torch.nn import functional

from winninghand.networks.catalog import Classes, Count, kaiming_normal
from winninghand.networks.wideresnet import blocks_of_depth

Activation: TypeAlias = Literal["swish", "relu"]
_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {"swish": nn.SiLU, "relu": nn.ReLU}


class Block(nn.Module):
    """Batch norm, activation and 3×3 convolution, twice, and a shortcut: identity, or 1×1 for more channels.

    The 1×1 convolution sees the activated input, the identity the raw one.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.stride = stride
        self.activation = _ACTIVATIONS[activation]()
        self.batchnorm_0 = nn.BatchNorm2d(channels_in)
        self.conv_0 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, bias=False)
        self.batchnorm_1 = nn.BatchNorm2d(channels_out)
        self.conv_1 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if channels_in != channels_out:
            self.shortcut = nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride), odd sizes rounded up."""
        activated = self.activation(self.batchnorm_0(x))
        out = self.conv_0(_padded(activated, self.stride))
        residual: Tensor = self.conv_1(self.activation(self.batchnorm_1(out)))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        return shortcut + residual


def _padded(x: Tensor, stride: int) -> Tensor:
    """Return images with zeros around, as `SAME` adds them for a 3×3 convolution of stride 1 or 2.

    With stride 2 an even side has one at its end alone. An odd side, refused by the published code, has two.
    """
    if stride == 1:
        return functional.pad(x, (1, 1, 1, 1))
    height, width = x.shape[2:]
    return functional.pad(x, (width % 2, 1, height % 2, 1))


class DMWideResNet(nn.Module):
    """A stem of `width` channels and three stages of `blocks` blocks, each `widen_factor` times as wide."""

    def __init__(
        self, blocks: int, widen_factor: int, width: int, classes: int, activation: Activation
    ) -> None:
        super().__init__()
        wide = width * widen_factor
        self.init_conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.layer = nn.Sequential(
            _stage(width, wide, blocks, 1, activation),
            _stage(wide, 2 * wide, blocks, 2, activation),
            _stage(2 * wide, 4 * wide, blocks, 2, activation),
        )
        self.batchnorm = nn.BatchNorm2d(4 * wide)
        self.activation = _ACTIVATIONS[activation]()
        self.logits = nn.Linear(4 * wide, classes)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) of any size to logits (N, classes)."""
        x = self.layer(self.init_conv(x))
        logits: Tensor = self.logits(self.activation(self.batchnorm(x)).mean((2, 3)))
        return logits


def _stage(
    channels_in: int, channels_out: int, blocks: int, stride: int, activation: Activation
) -> nn.Sequential:
    first = Block(channels_in, channels_out, stride, activation)
    rest = (Block(channels_out, channels_out, 1, activation) for _ in range(blocks - 1))
    return nn.Sequential(OrderedDict(block=nn.Sequential(first, *rest)))


def dm_wideresnet(
    depth: Count = 28,
    widen_factor: Count = 10,
    width: Count = 16,
    classes: Classes = 10,
    activation: Activation = "swish",
) -> DMWideResNet:
    """Return DeepMind's WRN-`depth`-`widen_factor`; 36.5 million parameters for 28-10, 267 million for 70-16.

    `width` is the stem's. Raises `InputError` unless the depth is 6n + 4 with n of at least 1.
    """
    return DMWideResNet(blocks_of_depth("dm_wideresnet", depth), widen_factor, width, classes, activation)
