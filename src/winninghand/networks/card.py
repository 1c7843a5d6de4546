"""The two networks of the published CARDs: Diffenderfer et al. 2021, arXiv:2106.09129.

Structure and parameter names are those of RobustBench's `Diffenderfer2021Winning_LRR` and
`Diffenderfer2021Winning_Binary`, so that their weights load.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from winninghand.networks.catalog import Classes, Count, kaiming_normal
from winninghand.networks.resnet import ResNet, basic_resnet


class BinaryBlock(nn.Module):
    """A pre-activation block without batch-norm parameters, whose shortcut always sees the activated input.

    Usual pre-activation blocks hand on the raw input where the shape stays; this one does not.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in, affine=False)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out, affine=False)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels_out, affine=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride), odd sizes rounded up."""
        activated = functional.relu(self.bn1(x))
        residual: Tensor = self.conv2(functional.relu(self.bn2(self.conv1(activated))))
        shortcut: Tensor = self.shortcut(activated)
        return residual + shortcut


class BinaryResNet(nn.Module):
    """Four stages of two blocks with 1, 3, 6 and 12 × `width` channels, and a 1×1 convolution as head."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 3 * width, stride=2)
        self.layer3 = _stage(3 * width, 6 * width, stride=2)
        self.layer4 = _stage(6 * width, 12 * width, stride=2)
        self.bn1 = nn.BatchNorm2d(12 * width, affine=False)
        self.fc = nn.Conv2d(12 * width, classes, 1, bias=False)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) of any size to logits (N, classes)."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        pooled = functional.relu(self.bn1(x)).mean((2, 3), keepdim=True)
        logits: Tensor = self.fc(pooled)
        return logits.flatten(1)


def _stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    first = BinaryBlock(channels_in, channels_out, stride)
    return nn.Sequential(first, BinaryBlock(channels_out, channels_out, 1))


def card_lrr(width: Count = 128, classes: Classes = 10) -> ResNet:
    """Return the network of the LRR cards, a ResNet-18 of width 128; 44.7 million parameters."""
    return basic_resnet((2, 2, 2, 2), width, classes, stem_stride=1)


def card_binary(width: Count = 64, classes: Classes = 10) -> BinaryResNet:
    """Return the network of the binary cards; 24.9 million parameters at width 64."""
    return BinaryResNet(width, classes)
