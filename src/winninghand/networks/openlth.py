"""The networks of OpenLTH for CIFAR-10, under its parameter names, so that its checkpoints load.

github.com/facebookresearch/open_lth. Its `cifar_resnet_20` is `resnet20` but for the shortcuts, which are
1×1 convolutions (option B of He et al. 2016); its `cifar_vgg_16` has batch norms and one linear layer
(Simonyan & Zisserman 2014, arXiv:1409.1556, tables 1 and 2). Its `imagenet_resnet_50` is `resnet50`.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from torch import Tensor, nn
from torch.nn import functional

from winninghand.base.errors import InputError
from winninghand.networks.catalog import Classes, Count, kaiming_normal
from winninghand.networks.resnet import among, projection


class Block(nn.Module):
    """Two 3×3 convolutions with batch-norm, and a shortcut around them, empty where the shape stays."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = projection(channels_in, channels_out, stride) if stride != 1 else nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride), odd sizes rounded up."""
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class OpenLTHResNet(nn.Module):
    """Three stages of `blocks` blocks each in one sequence, `width` to 4 × `width` channels."""

    def __init__(self, blocks: int, width: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        stages = [(width, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2)]
        self.blocks = nn.Sequential(
            *(
                Block(channels_out if place else channels_in, channels_out, 1 if place else stride)
                for channels_in, channels_out, stride in stages
                for place in range(blocks)
            )
        )
        self.fc = nn.Linear(4 * width, classes)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) of any size to logits (N, classes)."""
        x = self.blocks(functional.relu(self.bn(self.conv(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class Convolution(nn.Module):
    """A 3×3 convolution with a bias, a batch norm and ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.bn = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H, W)."""
        return functional.relu(self.bn(self.conv(x)))


# The convolutions of each of five groups, between which images are halved, by depth.
_GROUPS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
VGGDepth: TypeAlias = Annotated[int, among(*_GROUPS)]


class OpenLTHVGG(nn.Module):
    """Five groups of convolutions, `width` to 8 × `width` channels, with max-pooling between them."""

    def __init__(self, depth: int, width: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for group, count in enumerate(_GROUPS[depth]):
            if group:
                layers.append(nn.MaxPool2d(2))
            wide = width * min(2**group, 8)
            for _ in range(count):
                layers.append(Convolution(channels, wide))
                channels = wide
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, classes)
        kaiming_normal(self, "fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W), of 16 pixels or more a side, to logits (N, classes)."""
        logits: Tensor = self.fc(self.layers(x).mean((2, 3)))
        return logits


def cifar_resnet(depth: Count = 20, width: Count = 16, classes: Classes = 10) -> OpenLTHResNet:
    """Return OpenLTH's `cifar_resnet_DEPTH_WIDTH`; 0.27 million parameters for its `cifar_resnet_20`.

    Raises `InputError` unless the depth is 6n + 2 with n of at least 1.
    """
    blocks, remainder = divmod(depth - 2, 6)
    if remainder or blocks < 1:
        raise InputError(
            f"network 'cifar_resnet' cannot have depth = {depth}: it must be 6n + 2, as in 8, 20, 32 or 56"
        )
    return OpenLTHResNet(blocks, width, classes)


def cifar_vgg(depth: VGGDepth = 16, width: Count = 64, classes: Classes = 10) -> OpenLTHVGG:
    """Return OpenLTH's `cifar_vgg_DEPTH`; 14.7 million parameters for its `cifar_vgg_16`."""
    return OpenLTHVGG(depth, width, classes)
