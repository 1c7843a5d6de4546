"""The ResNet basic block and stages of it: He et al. 2016, arXiv:1512.03385, figure 2."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional


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
