"""ResNets for small images: He et al. 2016, arXiv:1512.03385, with a 3×3 stem and no max-pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from winninghand.networks.catalog import Classes, Count, kaiming_normal


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with batch-norm, and a shortcut around them.

    `downsample` is the shortcut where the shape changes; None is the identity.
    """

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride), odd sizes rounded up."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(out + shortcut)


def projection(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    """Return the shortcut with weights: a strided 1×1 convolution and batch-norm (option B)."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False),
        nn.BatchNorm2d(channels_out),
    )


def basic_stage(
    channels_in: int,
    channels_out: int,
    blocks: int,
    stride: int,
    shortcut: Callable[[int, int, int], nn.Module] = projection,
) -> nn.Sequential:
    """Return `blocks` basic blocks of which the first may change the shape, with `shortcut` around it."""
    changes = stride != 1 or channels_in != channels_out
    around = shortcut(channels_in, channels_out, stride) if changes else None
    first = BasicBlock(channels_in, channels_out, stride, around)
    return nn.Sequential(first, *(BasicBlock(channels_out, channels_out, 1) for _ in range(blocks - 1)))


StemStride = Annotated[int, Field(ge=1, le=2)]


class ResNet(nn.Module):
    """Four stages of basic blocks, `width` to 8 × `width` channels, under torchvision's parameter names.

    A stem of stride 2 halves the image at once: a quarter of the multiplications for the same
    weights, or four times the weights in the same time.
    """

    def __init__(self, blocks: Sequence[int], width: int, classes: int, stem_stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, stride=stem_stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = basic_stage(width, width, blocks[0], stride=1)
        self.layer2 = basic_stage(width, 2 * width, blocks[1], stride=2)
        self.layer3 = basic_stage(2 * width, 4 * width, blocks[2], stride=2)
        self.layer4 = basic_stage(4 * width, 8 * width, blocks[3], stride=2)
        self.fc = nn.Linear(8 * width, classes)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) of any size to logits (N, classes)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def resnet18(width: Count = 64, classes: Classes = 10, stem_stride: StemStride = 1) -> ResNet:
    """Return the 18-layer ResNet; 11.17 million parameters at width 64. Width 128 is WideResNet-18-2."""
    return ResNet((2, 2, 2, 2), width, classes, stem_stride)


def resnet34(width: Count = 64, classes: Classes = 10, stem_stride: StemStride = 1) -> ResNet:
    """Return the 34-layer ResNet; 21.28 million parameters at width 64."""
    return ResNet((3, 4, 6, 3), width, classes, stem_stride)
