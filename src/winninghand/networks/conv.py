"""Conv-2 to Conv-8, the VGG-like networks of the lottery-ticket papers.

Frankle & Carbin 2019, arXiv:1803.03635, figure 2 (Conv-2, -4, -6); Ramanujan et al. 2020,
arXiv:1911.13299 (Conv-8). Pairs of 3×3 convolutions, each pair followed by 2×2 max-pooling, then
two hidden linear layers and the head; no batch-norm.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from winninghand.networks.catalog import Classes, Count, kaiming_normal

InputSize = Annotated[int, Field(ge=16, le=1024)]


class Conv(nn.Module):
    """Pairs of convolutions with `width`, 2 × `width`, … channels; hidden linear layers 4 × `width` wide.

    The linear layers fix the size of the images: `input_size` × `input_size`.
    """

    def __init__(self, pairs: int, width: int, classes: int, input_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for channels_out in (width << pair for pair in range(pairs)):
            layers += [nn.Conv2d(channels, channels_out, 3, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(channels_out, channels_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            channels = channels_out
        self.features = nn.Sequential(*layers)
        hidden = 4 * width
        self.classifier = nn.Sequential(
            nn.Linear(channels * (input_size >> pairs) ** 2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )
        # Without batch-norm it is the activations whose variance must survive the depth.
        kaiming_normal(self.features, "fan_in")
        kaiming_normal(self.classifier[:-1], "fan_in", (nn.Linear,))

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, input_size, input_size) to logits (N, classes)."""
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def conv2(width: Count = 64, classes: Classes = 10, input_size: InputSize = 32) -> Conv:
    """Return Conv-2; 4.3 million parameters at the defaults."""
    return Conv(1, width, classes, input_size)


def conv4(width: Count = 64, classes: Classes = 10, input_size: InputSize = 32) -> Conv:
    """Return Conv-4; 2.4 million parameters at the defaults."""
    return Conv(2, width, classes, input_size)


def conv6(width: Count = 64, classes: Classes = 10, input_size: InputSize = 32) -> Conv:
    """Return Conv-6; 2.3 million parameters at the defaults."""
    return Conv(3, width, classes, input_size)


def conv8(width: Count = 64, classes: Classes = 10, input_size: InputSize = 32) -> Conv:
    """Return Conv-8; 5.3 million parameters at the defaults."""
    return Conv(4, width, classes, input_size)
