"""The pre-activation block that two families of networks share: He et al. 2016, arXiv:1603.05027."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class PreActivationBlock(nn.Module):
    """Batch-norm, ReLU and 3×3 convolution, twice, and a shortcut: identity, or 1×1 where the shape changes.

    The 1×1 convolution sees the activated input, the identity the raw one. `shortcut` is its name in
    published weights: `convShortcut`, or `shortcut.0` where it stands in a sequence of its own.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.shortcut_name: str | None = None
        if stride != 1 or channels_in != channels_out:
            pointwise = nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)
            self.shortcut_name, in_sequence, _ = shortcut.partition(".")
            self.add_module(self.shortcut_name, nn.Sequential(pointwise) if in_sequence else pointwise)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride), odd sizes rounded up."""
        activated = functional.relu(self.bn1(x))
        residual: Tensor = self.conv2(functional.relu(self.bn2(self.conv1(activated))))
        shortcut = x if self.shortcut_name is None else getattr(self, self.shortcut_name)(activated)
        return residual + shortcut
