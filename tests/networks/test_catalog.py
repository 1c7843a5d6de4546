from __future__ import annotations

import copy

import pytest
import torch

import winninghand as wh
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
        ("resnet34", {"stem_stride": 3}, "stem_stride: must be 1, 2 or 4, not 3"),
        ("cifar_vgg", {"depth": 12}, "depth: must be 11, 13, 16 or 19, not 12"),
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


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("conv8", {"width": 4096, "input_size": 1024}),
        ("conv2", {"width": 512, "input_size": 512}),
        ("resnet18", {"width": 4096}),
        ("wideresnet", {"width": 4096}),
        ("resnext29", {"width": 4096, "cardinality": 4096}),
    ],
)
def test_settings_that_fill_the_memory_are_refused_before_they_do(name, settings):
    state = torch.get_rng_state()
    with pytest.raises(InputError, match=f"network '{name}' with .* parameters, more than 1,073,741,824"):
        network(name, **settings)
    assert torch.equal(torch.get_rng_state(), state)


def test_that_a_network_is_measured_first_changes_none_of_its_weights():
    torch.manual_seed(3)
    measured = network("resnet20", width=4)
    torch.manual_seed(3)
    plain = NETWORKS["resnet20"](width=4)
    for one, other in zip(measured.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_network_for_other_images_is_refused_before_it_is_trained(tiny_images, tmp_path):
    recipe = {"network": {"name": "conv2", "width": 2, "input_size": 32}, "training": {"epochs": 1}}
    with pytest.raises(InputError, match="the network cannot take images of 16 × 16"):
        wh.train(recipe, tiny_images, tmp_path / "run")
    assert not list(tmp_path.rglob("*.*"))
