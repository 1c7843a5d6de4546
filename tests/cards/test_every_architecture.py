"""Every network of the catalog in every kind of weight: what is saved is what is loaded, bit by bit."""

from __future__ import annotations

import pytest
import torch

import winninghand as wh
from winninghand.networks import NETWORKS

SMALL = {
    "conv6": {"input_size": 16},
    "conv8": {"input_size": 16},
    "resnext29": {"cardinality": 2, "base_width": 2},
    "wideresnet": {"depth": 10, "widen_factor": 2},
    "dm_wideresnet": {"depth": 10, "widen_factor": 2},
    "resnet50": {"classes": 10},
    "wideresnet50_2": {"classes": 10},
}


def pruned_card(name):
    torch.manual_seed(0)
    module = wh.network(name, width=4, **SMALL.get(name, {}))
    side = module.architecture.settings.get("input_size", 32)
    card = wh.Card.from_module(module, [str(number) for number in range(10)], (side, side))
    with torch.no_grad():
        for parameter in module.parameters():
            keep = torch.rand(parameter.shape) < 0.2 if parameter.ndim > 1 else torch.ones(parameter.shape)
            parameter.copy_(torch.randn(parameter.shape) * keep + 0.0)
    return card


def bits(tensor):
    return tensor.view(torch.int32) if tensor.dtype == torch.float32 else tensor


@pytest.mark.parametrize("weights", ["fp32", "fp16", "int8", "int4", "binary"])
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_come_back_bit_by_bit(name, weights, tmp_path):
    card = pruned_card(name)
    card = card if weights == "fp32" else card.quantized(weights)
    card.save(tmp_path / "a.card")
    loaded = wh.load(tmp_path / "a.card")
    saved = card.state_dict()
    assert loaded.metadata == card.metadata
    assert loaded.state_dict().keys() == saved.keys()
    assert all(torch.equal(bits(tensor), bits(saved[key])) for key, tensor in loaded.state_dict().items())
    images = torch.rand(1, 3, *card.metadata.input_size)
    assert torch.equal(loaded(images), card(images))
