"""ResNets for small images: He et al. 2016, arXiv:1512.03385, with a 3×3 stem and no max-pooling."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from winninghand.networks.catalog import NETWORKS, Classes, Count
from winninghand.networks.initialization import kaiming_normal


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut: a 1×1 projection where the shape changes, else the identity."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride)."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(out + shortcut)


class ResNet(nn.Module):
    """Four stages of basic blocks, `width` to 8 × `width` channels, under torchvision's parameter names."""

    def __init__(self, blocks: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, blocks[0], stride=1)
        self.layer2 = _stage(width, 2 * width, blocks[1], stride=2)
        self.layer3 = _stage(2 * width, 4 * width, blocks[2], stride=2)
        self.layer4 = _stage(4 * width, 8 * width, blocks[3], stride=2)
        self.fc = nn.Linear(8 * width, classes)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) of any size to logits (N, classes)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def _stage(channels_in: int, channels_out: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels_in, channels_out, stride)
    return nn.Sequential(first, *(BasicBlock(channels_out, channels_out, 1) for _ in range(blocks - 1)))


@NETWORKS.register("resnet18")
def resnet18(width: Count = 64, classes: Classes = 10) -> ResNet:
    """Return the 18-layer ResNet; 11.17 million parameters at width 64. Width 128 is WideResNet-18-2."""
    return ResNet((2, 2, 2, 2), width, classes)


@NETWORKS.register("resnet34")
def resnet34(width: Count = 64, classes: Classes = 10) -> ResNet:
    """Return the 34-layer ResNet; 21.28 million parameters at width 64."""
    return ResNet((3, 4, 6, 3), width, classes)
