"""ResNet-20, -32 and -56 for CIFAR: He et al. 2016, arXiv:1512.03385, section 4.2.

Shortcuts are the paper's option A: where the shape changes, every second pixel and zeros for the
new channels, without weights. So the published counts hold: 0.27, 0.46 and 0.85 million.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from winninghand.networks.catalog import Classes, Count, kaiming_normal
from winninghand.networks.resnet import basic_stage


class ZeroPadding(nn.Module):
    """The shortcut without weights: subsampled pixels, and zeros for the channels that are new."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = channels_out - channels_in

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride), odd sizes rounded up."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


class CifarResNet(nn.Module):
    """Three stages of `blocks` basic blocks each, `width` to 4 × `width` channels."""

    def __init__(self, blocks: int, width: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = basic_stage(width, width, blocks, 1, ZeroPadding)
        self.layer2 = basic_stage(width, 2 * width, blocks, 2, ZeroPadding)
        self.layer3 = basic_stage(2 * width, 4 * width, blocks, 2, ZeroPadding)
        self.fc = nn.Linear(4 * width, classes)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) of any size to logits (N, classes)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def resnet20(width: Count = 16, classes: Classes = 10) -> CifarResNet:
    """Return ResNet-20; 0.27 million parameters at width 16."""
    return CifarResNet(3, width, classes)


def resnet32(width: Count = 16, classes: Classes = 10) -> CifarResNet:
    """Return ResNet-32; 0.46 million parameters at width 16."""
    return CifarResNet(5, width, classes)


def resnet56(width: Count = 16, classes: Classes = 10) -> CifarResNet:
    """Return ResNet-56; 0.85 million parameters at width 16."""
    return CifarResNet(9, width, classes)
