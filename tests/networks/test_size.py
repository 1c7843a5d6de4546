from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from winninghand.networks import NETWORKS, count_macs, count_parameters, network


@pytest.mark.parametrize("name", NETWORKS)
def test_macs_are_half_the_flops_that_torch_counts(name):
    with torch.device("meta"):
        module = network(name).eval()
        with FlopCounterMode(display=False) as counter:
            module(torch.empty(1, 3, 32, 32))
        assert 2 * sum(count_macs(module, (32, 32)).values()) == counter.get_total_flops()


class Assorted(nn.Module):
    """Layers of every counted kind, one of them called twice and one never."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.tokens = nn.Conv1d(4, 6, 1)
        self.twice = nn.Linear(6, 6)
        self.norm = nn.BatchNorm1d(6)
        self.encoder = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True)
        self.unused = nn.Linear(5, 5)

    def forward(self, x):
        x = self.up(self.depthwise(self.stem(x)))
        x = self.norm(self.tokens(x.flatten(2))).transpose(1, 2)
        return self.encoder(self.twice(self.twice(x))).mean(1)


def test_macs_of_each_kind_of_layer_are_weights_times_places_of_use():
    tokens = 16 * 16
    assert count_macs(Assorted(), (16, 16)) == {
        "stem": 8 * 8 * (8 * 3 * 9),
        "depthwise": 8 * 8 * (8 * 9),
        "up": 8 * 8 * (8 * 4 * 4),
        "tokens": tokens * 4 * 6,
        "twice": 2 * tokens * 6 * 6,
        "encoder.self_attn": tokens * 3 * 6 * 6,
        "encoder.self_attn.out_proj": tokens * 6 * 6,
        "encoder.linear1": tokens * 6 * 12,
        "encoder.linear2": tokens * 12 * 6,
    }


def test_counting_leaves_the_module_as_it_was():
    module = Assorted().train()
    module.norm.eval()
    modes = [part.training for part in module.modules()]
    state = {key: value.clone() for key, value in module.state_dict().items()}
    count_macs(module, (16, 16))
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())
    assert not any(part._forward_hooks for part in module.modules())


def test_a_shared_weight_is_one_parameter():
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    assert count_parameters(nn.Sequential(first, second)) == 16
