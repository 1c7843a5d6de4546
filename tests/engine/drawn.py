"""Networks drawn at random, of all that the engine knows: layers, strides, groups, shapes, masks."""

import random

import torch
from torch import nn
from torch.nn import functional

import winninghand as wh

ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.SiLU,
    nn.Sigmoid,
    nn.GELU,
    nn.Tanh,
    nn.Identity,
)


class Layer(nn.Module):
    """A convolution, with or without norm, squeeze-and-excitation, and an addition, then an activation."""

    def __init__(self, draw, channels_in, channels_out, kernel, stride, groups, side):
        super().__init__()
        dilation = draw.choice((1, 1, 2)) if 2 * kernel < side else 1
        self.conv = nn.Conv2d(
            channels_in,
            channels_out,
            kernel,
            stride,
            draw.randint(0, kernel // 2 * dilation) if stride > 1 else kernel // 2 * dilation,
            dilation,
            groups,
            bias=draw.random() < 0.5,
        )
        self.norm = nn.BatchNorm2d(channels_out) if draw.random() < 0.7 else nn.Identity()
        self.gate = None
        if draw.random() < 0.3:
            self.gate = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels_out, channels_out, 1), nn.Hardsigmoid()
            )
        self.adds = draw.random() < 0.6
        self.activation = draw.choice(ACTIVATIONS)()

    def forward(self, x):
        out = self.norm(self.conv(x))
        if self.gate is not None:
            out = out * self.gate(out)
        if self.adds and out.shape == x.shape:
            out = out + x
        return self.activation(out)


class Branches(nn.Module):
    """Two convolutions of halves of the channels, concatenated and shuffled."""

    def __init__(self, draw, channels):
        super().__init__()
        self.left = nn.Conv2d(channels // 2, channels // 2, draw.choice((1, 3, 5)), padding="same")
        self.right = nn.Sequential(nn.BatchNorm2d(channels - channels // 2), nn.ReLU())

    def forward(self, x):
        left, right = x.split([x.shape[1] // 2, x.shape[1] - x.shape[1] // 2], 1)
        joined = torch.cat([self.left(left), self.right(right)], 1)
        return functional.channel_shuffle(joined, 2)


class Linear(nn.Module):
    """Layer norm and linear layers over the channels of each pixel, as in ConvNeXt."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.layer = nn.Linear(channels, channels)
        self.scale = nn.Parameter(torch.rand(channels))

    def forward(self, x):
        out = functional.gelu(self.layer(self.norm(x.permute(0, 2, 3, 1)))) * self.scale
        return out.permute(0, 3, 1, 2) + x


def drawn_card(seed, classes=5):
    """Return a card of a random network, with its weights pruned at random, and norms that do something."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    height, width = draw.choice(((8, 8), (12, 16), (17, 9), (32, 32)))
    layers, channels, side = [], 3, min(height, width)
    for _ in range(draw.randint(1, 4)):
        kind = draw.randrange(5) if channels > 3 else 0
        stride = draw.choice((1, 1, 2)) if side >= 8 else 1
        if kind <= 1:
            wider = 2 * draw.randint(1, 20)
            kernel = draw.choice((1, 3, 3, 5, 7) if side >= 8 else (1, 3))
            groups = 2 if channels % 2 == 0 and draw.random() < 0.2 else 1
            layers.append(Layer(draw, channels, wider, kernel, stride, groups, side))
            channels = wider
        elif kind == 2:
            layers.append(Layer(draw, channels, channels, 3, stride, channels, side))
        elif kind == 3:
            layers.append(Branches(draw, channels))
            stride = 1
        else:
            layers.append(Linear(channels))
            stride = 1
        side //= stride
        if side >= 4 and draw.random() < 0.3:
            pools = (nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AvgPool2d(3, 2, 1))
            layers.append(draw.choice(pools))
            side //= 2
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    network = nn.Sequential(*layers, *head)
    if draw.random() < 0.3:
        shape = nn.Sequential(*layers)(torch.zeros(2, 3, height, width)).shape
        network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(shape[1:].numel(), classes))
    network.train()
    network(torch.rand(8, 3, height, width))
    density = draw.choice((0.02, 0.1, 0.5, 1.0))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                weight.mul_(torch.rand(weight.shape) < density).add_(0.0)
            elif "norm" in name or name.endswith("bias"):
                weight.uniform_(-1, 1)
    means, stds = torch.rand(2, 3)
    return wh.Card.from_module(
        network.eval(),
        [str(number) for number in range(classes)],
        (height, width),
        mean=tuple(means.tolist()),
        std=tuple((stds + 0.1).tolist()),
    )
