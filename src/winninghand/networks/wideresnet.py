"""Wide ResNets: Zagoruyko & Komodakis 2016, arXiv:1605.07146, table 1.

Parameters have the names that RobustBench and AugMix use for them, so that published weights load.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from winninghand.base.errors import InputError
from winninghand.networks.catalog import Classes, Count, kaiming_normal
from winninghand.networks.preactivation import PreActivationBlock


class WideResNet(nn.Module):
    """A stem of `width` channels and three stages of `blocks` blocks, each `widen_factor` times as wide."""

    def __init__(self, blocks: int, widen_factor: int, width: int, classes: int) -> None:
        super().__init__()
        wide = width * widen_factor
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.block1 = _stage(width, wide, blocks, stride=1)
        self.block2 = _stage(wide, 2 * wide, blocks, stride=2)
        self.block3 = _stage(2 * wide, 4 * wide, blocks, stride=2)
        self.bn1 = nn.BatchNorm2d(4 * wide)
        self.fc = nn.Linear(4 * wide, classes)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) of any size to logits (N, classes)."""
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        logits: Tensor = self.fc(functional.relu(self.bn1(x)).mean((2, 3)))
        return logits


def _stage(channels_in: int, channels_out: int, blocks: int, stride: int) -> nn.Sequential:
    first = PreActivationBlock(channels_in, channels_out, stride, "convShortcut")
    rest = (PreActivationBlock(channels_out, channels_out, 1, "convShortcut") for _ in range(blocks - 1))
    return nn.Sequential(OrderedDict(layer=nn.Sequential(first, *rest)))


def wideresnet(
    depth: Count = 28, widen_factor: Count = 10, width: Count = 16, classes: Classes = 10
) -> WideResNet:
    """Return WRN-`depth`-`widen_factor`; 36.5 million parameters for WRN-28-10, 2.2 million for WRN-40-2.

    `width` is the stem's. Raises `InputError` unless the depth is 6n + 4 with n of at least 1.
    """
    return WideResNet(blocks_of_depth("wideresnet", depth), widen_factor, width, classes)


def blocks_of_depth(name: str, depth: int) -> int:
    """Return the blocks of each stage, n, for a depth of 6n + 4; `InputError` for another depth."""
    blocks, remainder = divmod(depth - 4, 6)
    if remainder or blocks < 1:
        raise InputError(
            f"network {name!r} cannot have depth = {depth}: it must be 6n + 4, as in 10, 16, 28 or 40"
        )
    return blocks
