"""What a weight costs the engine."""

import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.engine.costs import measure_costs


def test_each_layer_has_a_cost_and_more_places_cost_more():
    shared = nn.Conv2d(16, 16, 3, padding=1)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), shared, shared, nn.MaxPool2d(8), nn.Conv2d(16, 16, 3, padding=1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    costs = measure_costs(network, (32, 32))
    assert costs.keys() == {"0.weight", "1.weight", "4.weight", "7.weight"}
    # 1024 places twice over, against 16 of them.
    assert costs["1.weight"] > 5 * costs["4.weight"] > 0
    assert costs["7.weight"] > 0
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


class Turning(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, images):
        return self.layer(images.mean(dim=(2, 3))).cumsum(1)


def test_a_network_that_the_engine_does_not_run_has_no_costs():
    with pytest.raises(wh.InputError, match=r"cannot run this network .* set budget"):
        measure_costs(Turning(), (8, 8))
