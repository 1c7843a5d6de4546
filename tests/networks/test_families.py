from __future__ import annotations

import pytest
import torch

from winninghand.base.errors import InputError
from winninghand.networks import NETWORKS, count_parameters, network

PUBLISHED = [
    # Frankle & Carbin 2019, figure 2; Ramanujan et al. 2020 for Conv-8
    ("conv2", {}, 4.3),
    ("conv4", {}, 2.4),
    ("conv6", {}, 2.3),
    ("conv8", {}, 5.3),
    # He et al. 2016, table 6
    ("resnet20", {}, 0.27),
    ("resnet32", {}, 0.46),
    ("resnet56", {}, 0.85),
    # Zagoruyko & Komodakis 2016, tables 4 and 5
    ("wideresnet", {"depth": 16, "widen_factor": 8}, 11.0),
    ("wideresnet", {"depth": 40, "widen_factor": 2}, 2.2),
    ("wideresnet", {"depth": 40, "widen_factor": 4}, 8.9),
    ("wideresnet", {}, 36.5),
    # torchvision's documentation
    ("resnet50", {}, 25.6),
    ("wideresnet50_2", {}, 68.9),
    # Gowal et al. 2020, table 1
    ("dm_wideresnet", {"depth": 70, "widen_factor": 16}, 266.8),
    # OpenLTH's, counted from its own plans
    ("cifar_resnet", {}, 0.27),
    ("cifar_vgg", {}, 14.7),
    # Xie et al. 2017, table 7
    ("resnext29", {"cardinality": 8, "base_width": 64}, 34.4),
]


@pytest.mark.parametrize(("name", "settings", "millions"), PUBLISHED)
def test_parameter_counts_are_the_published_ones(name, settings, millions):
    with torch.device("meta"):
        parameters = count_parameters(network(name, **settings))
    digits = 2 if millions < 1 else 1
    assert round(parameters / 1e6, digits) == millions


def test_the_cifar_resnet18_has_its_well_known_count_and_torchvisions_names():
    with torch.device("meta"):
        module = network("resnet18")
    assert count_parameters(module) == 11_173_962
    assert module.state_dict()["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert {name.partition(".")[0] for name, _ in module.named_parameters()} == {
        "conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"
    }  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [16, 33])
def test_every_network_goes_forward_and_backward_at_other_sizes(name, size):
    shallow = {"depth": 10, "widen_factor": 1} if name in ("wideresnet", "dm_wideresnet") else {}
    settings = {"classes": 3, "width": 4, **shallow}
    if name.startswith("conv"):
        settings["input_size"] = size
    torch.manual_seed(0)
    module = network(name, **settings)
    logits = module(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 3)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())
    assert all(parameter.grad.any() for name, parameter in module.named_parameters() if "conv" in name)


@pytest.mark.parametrize("depth", [2, 5, 27])
def test_wide_and_narrow_resnets_have_depths_of_their_own(depth):
    for name, rest in (("wideresnet", 4), ("dm_wideresnet", 4), ("cifar_resnet", 2)):
        with pytest.raises(InputError, match=f"network '{name}' cannot .*6n \\+ {rest}"):
            network(name, depth=depth)


def test_the_binary_cards_network_normalises_without_parameters_and_ends_in_a_convolution():
    module = network("card_binary", width=2)
    assert all(parameter.dim() == 4 for parameter in module.parameters())
    assert [module.get_submodule(f"layer{i}.0.conv1").out_channels for i in (1, 2, 3, 4)] == [2, 6, 12, 24]


def test_activations_keep_their_scale_through_the_networks_without_batch_norm():
    torch.manual_seed(0)
    module = network("conv8", width=16)
    with torch.no_grad():
        activations = module.features(torch.randn(8, 3, 32, 32))
    assert 0.3 < float(activations.square().mean().sqrt()) < 10
