from __future__ import annotations

import copy

import pytest
import torch

from winninghand.base.errors import InputError
from winninghand.networks import NETWORKS, Architecture, architecture_of, network


def test_a_network_remembers_all_its_settings_and_is_rebuilt_from_them():
    module = network("resnet18", width=4)
    assert module.architecture == Architecture("resnet18", {"width": 4, "classes": 10, "stem_stride": 1})
    again = network(module.architecture.name, **module.architecture.settings)
    again.load_state_dict(module.state_dict())
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(again.eval()(images), module.eval()(images))


def test_the_architecture_survives_a_copy_and_is_absent_from_other_modules():
    assert architecture_of(copy.deepcopy(network("conv2", width=2))) is not None
    assert architecture_of(torch.nn.Linear(2, 2)) is None


def test_the_seed_decides_the_first_weights():
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(network("conv4", width=2).state_dict())
    assert all(torch.equal(draws[0][key], draws[1][key]) for key in draws[0])
    assert not torch.equal(draws[0]["features.0.weight"], draws[2]["features.0.weight"])


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("resnet81", {}, "did you mean 'resnet18'"),
        (
            "resnet18",
            {"widht": 8},
            "unknown key 'widht'; remove it or mend its name; its settings and defaults: width = 64",
        ),
        ("resnet18", {"width": 0}, "width: input should be greater than or equal to 1, not 0"),
        ("resnet18", {"width": 1.5}, "valid integer"),
        ("resnet18", {"width": "8"}, "valid integer"),
        ("resnet18", {"width": True}, "valid integer"),
        ("resnet18", {"classes": 1}, "classes: "),
        ("conv8", {"input_size": 8}, "input_size: "),
        ("resnet34", {"stem_stride": 3}, "stem_stride: "),
    ],
)
def test_a_bad_name_or_setting_is_refused_in_one_line(name, settings, expected):
    with pytest.raises(InputError) as refusal:
        network(name, **settings)
    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_classes_and_its_defaults_are_complete(name):
    with torch.device("meta"):
        module = network(name, classes=7)
        assert module(torch.empty(2, 3, 32, 32)).shape == (2, 7)
    assert module.architecture.settings["classes"] == 7
