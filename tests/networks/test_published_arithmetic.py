"""Networks against what published code computes, written anew from its names of weights alone."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from winninghand.networks import network


class Published:
    """The operations of published networks on a state dict; it knows which of its tensors were used."""

    def __init__(self, state):
        self.state = state
        self.used = set()

    def __contains__(self, name):
        return name in self.state

    def take(self, name):
        self.used.add(name)
        return self.state[name]

    def convolution(self, name, x, stride=1, padding=1):
        bias = self.take(f"{name}.bias") if f"{name}.bias" in self else None
        return functional.conv2d(x, self.take(f"{name}.weight"), bias, stride, padding)

    def norm(self, name, x):
        self.used.add(f"{name}.num_batches_tracked")
        mean, var, weight, bias = (
            self.take(f"{name}.{part}") for part in ("running_mean", "running_var", "weight", "bias")
        )
        shaped = [part.view(1, -1, 1, 1) for part in (mean, var, weight, bias)]
        return (x - shaped[0]) / torch.sqrt(shaped[1] + 1e-5) * shaped[2] + shaped[3]

    def head(self, name, x):
        return x.mean((2, 3)) @ self.take(f"{name}.weight").T + self.take(f"{name}.bias")


def torchvision_bottlenecks(net, x):
    """ResNet.forward of torchvision with Bottleneck, four stages of 3, 4, 6 and 3."""
    x = torch.relu(net.norm("bn1", net.convolution("conv1", x, 2, 3)))
    x = functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    for stage, count in enumerate((3, 4, 6, 3), start=1):
        for block in range(count):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            out = torch.relu(net.norm(f"{at}.bn1", net.convolution(f"{at}.conv1", x, padding=0)))
            out = torch.relu(net.norm(f"{at}.bn2", net.convolution(f"{at}.conv2", out, stride)))
            out = net.norm(f"{at}.bn3", net.convolution(f"{at}.conv3", out, padding=0))
            if block == 0:
                x = net.norm(
                    f"{at}.downsample.1", net.convolution(f"{at}.downsample.0", x, stride, padding=0)
                )
            x = torch.relu(out + x)
    return net.head("fc", x)


def pre_activation(net, x):
    """PreActResNet.forward of RobustBench with PreActBlockV2 and bn_before_fc."""
    x = net.convolution("conv1", x)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            out = torch.relu(net.norm(f"{at}.bn1", x))
            if f"{at}.shortcut.0.weight" in net:
                x = net.convolution(f"{at}.shortcut.0", out, stride, padding=0)
            out = torch.relu(net.norm(f"{at}.bn2", net.convolution(f"{at}.conv1", out, stride)))
            x = net.convolution(f"{at}.conv2", out) + x
    return net.head("linear", torch.relu(net.norm("bn", x)))


def deepmind(net, x):
    """DMWideResNet.forward with Swish, of depth 16; strided convolutions see zeros at the end alone."""
    x = net.convolution("init_conv", x)
    for stage in (0, 1, 2):
        for block in (0, 1):
            at, stride = f"layer.{stage}.block.{block}", 2 if stage and block == 0 else 1
            before = net.norm(f"{at}.batchnorm_0", x)
            before = before * torch.sigmoid(before)
            padded = functional.pad(before, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
            out = net.norm(f"{at}.batchnorm_1", net.convolution(f"{at}.conv_0", padded, stride, padding=0))
            out = net.convolution(f"{at}.conv_1", out * torch.sigmoid(out))
            x = net.convolution(f"{at}.shortcut", before, stride, padding=0) + out if block == 0 else x + out
    x = net.norm("batchnorm", x)
    return net.head("logits", x * torch.sigmoid(x))


def openlth_resnet(net, x):
    """cifar_resnet_14 of OpenLTH: blocks in one row, the third and the fifth strided."""
    x = torch.relu(net.norm("bn", net.convolution("conv", x)))
    for block in range(6):
        at, stride = f"blocks.{block}", 2 if block in (2, 4) else 1
        out = torch.relu(net.norm(f"{at}.bn1", net.convolution(f"{at}.conv1", x, stride)))
        out = net.norm(f"{at}.bn2", net.convolution(f"{at}.conv2", out))
        if stride == 2:
            x = net.norm(f"{at}.shortcut.1", net.convolution(f"{at}.shortcut.0", x, stride, padding=0))
        x = torch.relu(out + x)
    return net.head("fc", x)


def openlth_vgg(net, x):
    """cifar_vgg_11 of OpenLTH; M is a max-pooling of 2."""
    for place, what in enumerate((64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512)):
        if what == "M":
            x = functional.max_pool2d(x, 2, 2)
        else:
            x = torch.relu(net.norm(f"layers.{place}.bn", net.convolution(f"layers.{place}.conv", x)))
    return net.head("fc", x)


CASES = {
    "resnet50": (torchvision_bottlenecks, {"width": 4, "classes": 7}),
    "wideresnet50_2": (torchvision_bottlenecks, {"width": 4, "classes": 7}),
    "preactresnet18": (pre_activation, {"width": 4}),
    "dm_wideresnet": (deepmind, {"depth": 16, "widen_factor": 2, "width": 4}),
    "cifar_resnet": (openlth_resnet, {"depth": 14, "width": 4}),
    "cifar_vgg": (openlth_vgg, {"depth": 11, "width": 4}),
}


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_logits_are_those_of_the_published_arithmetic(name):
    published, settings = CASES[name]
    torch.manual_seed(0)
    module = network(name, **settings).eval()
    for parameter in module.parameters():
        if parameter.ndim == 1:
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    for key, buffer in module.named_buffers():
        if "running" in key:
            buffer.uniform_(0.5, 1.5)
    net, images = Published(module.state_dict()), torch.randn(2, 3, 32, 32)
    expected = published(net, images)
    torch.testing.assert_close(module(images), expected, rtol=1e-4, atol=1e-4 * float(expected.std()))
    assert net.used == set(net.state)


def test_widths_are_the_published_ones():
    with torch.device("meta"):
        plain, wide = network("resnet50"), network("wideresnet50_2")
    shapes = [tuple(one.state_dict()["layer2.0.conv2.weight"].shape) for one in (plain, wide)]
    assert shapes == [(128, 128, 3, 3), (256, 256, 3, 3)]
    assert plain.fc.weight.shape == wide.fc.weight.shape == (1000, 2048)


def test_an_odd_side_is_halved_by_deepminds_network_too():
    module = network("dm_wideresnet", depth=10, widen_factor=1, width=2).eval()
    assert module.layer(module.init_conv(torch.randn(1, 3, 9, 11))).shape[2:] == (3, 3)
