"""ResNeXt-29 for CIFAR: Xie et al. 2017, arXiv:1611.05431, section 5.3.

The default, 32×4 in the notation of AugMix (4 groups of 32 channels), is that paper's network.
Parameters have the names that RobustBench and AugMix use for them, so that published weights load.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from winninghand.networks.catalog import Classes, Count, kaiming_normal
from winninghand.networks.resnet import projection


class Bottleneck(nn.Module):
    """1×1 to `inner` channels, 3×3 in `groups` groups, 1×1 to `channels_out`, and a shortcut."""

    def __init__(self, channels_in: int, inner: int, channels_out: int, groups: int, stride: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels_in, inner, 1, bias=False)
        self.bn_reduce = nn.BatchNorm2d(inner)
        self.conv_conv = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(inner)
        self.conv_expand = nn.Conv2d(inner, channels_out, 1, bias=False)
        self.bn_expand = nn.BatchNorm2d(channels_out)
        changes = stride != 1 or channels_in != channels_out
        self.downsample = projection(channels_in, channels_out, stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride), odd sizes rounded up."""
        out = functional.relu(self.bn_reduce(self.conv_reduce(x)))
        out = functional.relu(self.bn(self.conv_conv(out)))
        out = self.bn_expand(self.conv_expand(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(out + shortcut)


class ResNeXt(nn.Module):
    """Three stages of three bottlenecks: `width` channels in the stem, 4, 8 and 16 times that in the stages.

    The bottlenecks of the first stage have `cardinality` groups of `base_width` channels; those of
    the next stages twice and four times as wide ones.
    """

    def __init__(self, cardinality: int, base_width: int, width: int, classes: int) -> None:
        super().__init__()
        inner = cardinality * base_width
        self.conv_1_3x3 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn_1 = nn.BatchNorm2d(width)
        self.stage_1 = _stage(width, inner, 4 * width, cardinality, stride=1)
        self.stage_2 = _stage(4 * width, 2 * inner, 8 * width, cardinality, stride=2)
        self.stage_3 = _stage(8 * width, 4 * inner, 16 * width, cardinality, stride=2)
        self.classifier = nn.Linear(16 * width, classes)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) of any size to logits (N, classes)."""
        x = functional.relu(self.bn_1(self.conv_1_3x3(x)))
        x = self.stage_3(self.stage_2(self.stage_1(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def _stage(channels_in: int, inner: int, channels_out: int, groups: int, stride: int) -> nn.Sequential:
    first = Bottleneck(channels_in, inner, channels_out, groups, stride)
    return nn.Sequential(first, *(Bottleneck(channels_out, inner, channels_out, groups, 1) for _ in range(2)))


def resnext29(
    cardinality: Count = 4, base_width: Count = 32, width: Count = 64, classes: Classes = 10
) -> ResNeXt:
    """Return ResNeXt-29 with `cardinality` groups of `base_width` channels; 6.8 million parameters."""
    return ResNeXt(cardinality, base_width, width, classes)
