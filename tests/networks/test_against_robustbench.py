"""Where RobustBench is installed: its parameter names and shapes, and its logits from its weights."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch

from winninghand.networks import network

ARCHITECTURES = "robustbench.model_zoo.architectures"
pytest.importorskip(ARCHITECTURES, reason="RobustBench cannot be imported", exc_type=ImportError)


def theirs(file, name, *arguments, **settings):
    module = import_module(f"{ARCHITECTURES}.{file}")
    return getattr(module, name)(*(getattr(module, argument) for argument in arguments), **settings)


PAIRS = {
    "LRR card": (
        lambda: theirs("CARD_resnet", "LRR_ResNet", width=128),
        lambda: network("card_lrr"),
    ),
    "binary card": (
        lambda: theirs("CARD_resnet", "WidePreActResNet", num_classes=100),
        lambda: network("card_binary", classes=100),
    ),
    "AugMix ResNeXt": (
        lambda: theirs(
            "resnext",
            "CifarResNeXt",
            "ResNeXtBottleneck",
            depth=29,
            cardinality=4,
            base_width=32,
            num_classes=10,
        ),
        lambda: network("resnext29"),
    ),
    "WRN-16-2": (
        lambda: theirs("wide_resnet", "WideResNet", depth=16, widen_factor=2),
        lambda: network("wideresnet", depth=16, widen_factor=2),
    ),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
@torch.no_grad()
def test_weights_go_both_ways_and_logits_agree(pair):
    their_network, our_network = (build() for build in pair)
    images = torch.randn(4, 3, 32, 32)
    their_network.train()(images)  # running statistics that are not those of a fresh network
    our_network.load_state_dict(their_network.state_dict(), strict=True)
    logits = their_network.eval()(images)
    torch.testing.assert_close(our_network.eval()(images), logits, rtol=1e-4, atol=1e-4 * float(logits.std()))
