"""ResNets of four stages under torchvision's parameter names: He et al. 2016, arXiv:1512.03385.

Their stem is the 3×3 convolution that is usual for small images, or ImageNet's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeAlias

from pydantic import AfterValidator
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


class Bottleneck(nn.Module):
    """1×1 to `inner` channels, 3×3 that may be strided, 1×1 to `channels_out`, and a shortcut around them.

    The 3×3 convolution has the stride, as in torchvision ("ResNet-50 v1.5"); in the paper the first has it.
    `downsample` is the shortcut where the shape changes; None is the identity.
    """

    def __init__(
        self,
        channels_in: int,
        inner: int,
        channels_out: int,
        stride: int,
        downsample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride), odd sizes rounded up."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = functional.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(out + shortcut)


def bottleneck_stage(
    channels_in: int, inner: int, channels_out: int, blocks: int, stride: int
) -> nn.Sequential:
    """Return `blocks` bottlenecks of which the first may change the shape."""
    changes = stride != 1 or channels_in != channels_out
    around = projection(channels_in, channels_out, stride) if changes else None
    first = Bottleneck(channels_in, inner, channels_out, stride, around)
    rest = (Bottleneck(channels_out, inner, channels_out, 1) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def among(*numbers: int) -> AfterValidator:
    """Return what a setting's type is annotated with that is one of these whole numbers."""

    def check(number: int) -> int:
        if number not in numbers:
            *rest, last = map(str, numbers)
            raise ValueError(f"must be {', '.join(rest)} or {last}, not {number}")
        return number

    return AfterValidator(check)


StemStride: TypeAlias = Annotated[int, among(1, 2, 4)]
"""How much smaller the stem makes an image: 1 and 2 by a 3×3 convolution of that stride; 4 as for ImageNet,
by a 7×7 convolution of stride 2 and 3×3 max-pooling of stride 2."""


class ResNet(nn.Module):
    """A stem, four stages of blocks, and a linear head, under torchvision's parameter names.

    `stages` are their modules, in order; `width` and `features` are the channels before and after them. A
    stem of stride 2 halves the image at once: a quarter of the multiplications for the same weights, or four
    times the weights in the same time.
    """

    def __init__(
        self, stages: Sequence[nn.Module], width: int, features: int, classes: int, stem_stride: int
    ) -> None:
        super().__init__()
        self.pools = stem_stride == 4
        if self.pools:
            self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        else:
            self.conv1 = nn.Conv2d(3, width, 3, stride=stem_stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nn.Linear(features, classes)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) of any size to logits (N, classes)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        if self.pools:
            x = functional.max_pool2d(x, 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def basic_resnet(blocks: Sequence[int], width: int, classes: int, stem_stride: int) -> ResNet:
    """Return a ResNet of basic blocks, `width` to 8 × `width` channels."""
    channels = [width, width, 2 * width, 4 * width, 8 * width]
    stages = [
        basic_stage(channels[place], channels[place + 1], count, stride=2 if place else 1)
        for place, count in enumerate(blocks)
    ]
    return ResNet(stages, width, channels[-1], classes, stem_stride)


def bottleneck_resnet(
    blocks: Sequence[int], width: int, widening: int, classes: int, stem_stride: int
) -> ResNet:
    """Return a ResNet of bottlenecks, 4 × `width` to 32 × `width` channels; those inside `widening` times."""
    channels = [width, 4 * width, 8 * width, 16 * width, 32 * width]
    stages = [
        bottleneck_stage(
            channels[place],
            widening * channels[place + 1] // 4,
            channels[place + 1],
            count,
            stride=2 if place else 1,
        )
        for place, count in enumerate(blocks)
    ]
    return ResNet(stages, width, channels[-1], classes, stem_stride)


def resnet18(width: Count = 64, classes: Classes = 10, stem_stride: StemStride = 1) -> ResNet:
    """Return the 18-layer ResNet; 11.17 million parameters at width 64. Width 128 is WideResNet-18-2."""
    return basic_resnet((2, 2, 2, 2), width, classes, stem_stride)


def resnet34(width: Count = 64, classes: Classes = 10, stem_stride: StemStride = 1) -> ResNet:
    """Return the 34-layer ResNet; 21.28 million parameters at width 64."""
    return basic_resnet((3, 4, 6, 3), width, classes, stem_stride)


def resnet50(width: Count = 64, classes: Classes = 1000, stem_stride: StemStride = 4) -> ResNet:
    """Return the 50-layer ResNet; 25.56 million parameters at width 64, as torchvision's `resnet50`."""
    return bottleneck_resnet((3, 4, 6, 3), width, 1, classes, stem_stride)


def wideresnet50_2(width: Count = 64, classes: Classes = 1000, stem_stride: StemStride = 4) -> ResNet:
    """Return the 50-layer ResNet with bottlenecks twice as wide inside, torchvision's `wide_resnet50_2`.

    68.88 million parameters at width 64. Zagoruyko & Komodakis 2016, arXiv:1605.07146, table 7.
    """
    return bottleneck_resnet((3, 4, 6, 3), width, 2, classes, stem_stride)
