"""The pre-activation ResNet-18 for small images: He et al. 2016, arXiv:1603.05027.

Parameters have RobustBench's names, so that the weights of its entries load whose network ends in a norm
(`PreActBlockV2`, `bn_before_fc`).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from winninghand.networks.catalog import Classes, Count, kaiming_normal
from winninghand.networks.preactivation import PreActivationBlock


class PreActResNet(nn.Module):
    """Four stages of two blocks, `width` to 8 × `width` channels, and a batch norm before the head."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, stride=2)
        self.bn = nn.BatchNorm2d(8 * width)
        self.linear = nn.Linear(8 * width, classes)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) of any size to logits (N, classes)."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        logits: Tensor = self.linear(functional.relu(self.bn(x)).mean((2, 3)))
        return logits


def _stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    first = PreActivationBlock(channels_in, channels_out, stride, "shortcut.0")
    return nn.Sequential(first, PreActivationBlock(channels_out, channels_out, 1, "shortcut.0"))


def preactresnet18(width: Count = 64, classes: Classes = 10) -> PreActResNet:
    """Return the 18-layer pre-activation ResNet; 11.17 million parameters at width 64."""
    return PreActResNet(width, classes)
