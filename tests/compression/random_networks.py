"""Random small networks, and a loop that trains them as anyone would."""

import torch
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

WIDTHS = st.lists(st.integers(1, 6), min_size=1, max_size=3)
SEEDS = st.integers(0, 99)


def network_of(widths, seed, norm=True):
    """A convolution per width, with batch-norm or without, and a head; every second seed is channels-last."""
    torch.manual_seed(seed)
    layers, channels = [], 3
    for width in widths:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width) if norm else nn.Identity()]
        layers += [nn.ReLU()]
        channels = width
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, 5))
    return module.to(memory_format=torch.channels_last) if seed % 2 else module


def train(module, pruner, steps, each=lambda: None):
    """Take SGD steps with momentum and weight decay on noise; `each` is called after every step."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    for _ in range(steps):
        loss = functional.cross_entropy(module(torch.randn(4, 3, 6, 6)), torch.randint(5, (4,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        pruner.step()
        each()


def zeros(weights):
    """How many of some tensors' elements are zero."""
    return sum(int((weight == 0).sum()) for weight in weights)
