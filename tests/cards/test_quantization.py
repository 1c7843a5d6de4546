import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.cards.quantization import to_levels

HIGHEST = {"int8": 127, "int4": 7}


@pytest.fixture
def card():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    )
    with torch.no_grad():
        for layer in (module[0], module[3]):
            layer.weight[torch.rand_like(layer.weight) < 0.7] = 0
        module[3].weight[1] = 0
    return wh.Card.from_module(module, ["a", "b"], (8, 8))


def weights(card):
    return {name: dict(card.network.named_parameters())[name] for name in card.metadata.prunable}


@pytest.mark.parametrize("kind", ["int8", "int4", "fp16", "binary"])
@pytest.mark.parametrize("images", [None, 64])
def test_pruned_weights_stay_zero_and_nothing_else_changes(card, kind, images):
    before = {name: tensor.clone() for name, tensor in card.state_dict().items()}
    quantized = card.quantized(kind, None if images is None else torch.rand(images, 3, 8, 8))
    assert all(torch.equal(before[name], tensor) for name, tensor in card.state_dict().items())
    for name, tensor in quantized.network.state_dict().items():
        if name in card.metadata.prunable:
            assert not tensor[before[f"network.{name}"] == 0].any()
        else:
            assert torch.equal(tensor, before[f"network.{name}"])
    assert quantized.metadata.quantization == {"weights": kind, "images": images or 0, "norms": False}


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_weights_are_levels_times_scales_bit_for_bit(card, kind):
    quantized = card.quantized(kind)
    for name, weight in weights(quantized).items():
        scales = quantized.scales[name].view(-1, *[1] * (weight.ndim - 1))
        levels = (weight / scales).round()
        assert levels.abs().max() <= HIGHEST[kind]
        assert torch.equal(levels * scales, weight)


@pytest.mark.parametrize("kind", ["int8", "int4", "fp16", "binary"])
def test_a_quantized_card_comes_back_from_its_file(card, kind, tmp_path):
    quantized = card.quantized(kind)
    quantized.save(tmp_path / "a.card")
    module = nn.Sequential(*(type(part)(*args) for part, args in zip(card.network, ARGUMENTS, strict=True)))
    loaded = wh.load(tmp_path / "a.card", network=module)
    assert loaded.metadata == quantized.metadata
    assert loaded.scales.keys() == quantized.scales.keys()
    for name, tensor in quantized.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
        assert loaded.state_dict()[name].dtype == tensor.dtype
    assert loaded.entropy_bound() == quantized.entropy_bound() < card.entropy_bound()


ARGUMENTS = [(3, 8, 3), (8,), (), (8, 8, 3, 1, 0, 1, 4), (1,), (), (8, 2)]


def test_binary_weights_have_one_magnitude_per_layer(card):
    for name, weight in weights(card.quantized("binary")).items():
        kept = weights(card)[name].abs()
        assert weight[weight != 0].abs().unique().tolist() == [pytest.approx(kept[kept > 0].mean().item())]


def test_scales_are_no_worse_than_those_of_the_largest_weight():
    torch.manual_seed(0)
    weight = torch.randn(16, 200) ** 3
    plain = weight.abs().amax(dim=1, keepdim=True) / 7
    rounded, _ = to_levels(weight, 7, None)
    error = (rounded - weight).square().sum(dim=1)
    plain_error = ((weight / plain).round() * plain - weight).square().sum(dim=1)
    assert (error <= plain_error * 1.0001).all()
    assert error.sum() < 0.95 * plain_error.sum()


def test_images_turn_the_error_to_where_the_inputs_are():
    torch.manual_seed(0)
    weight = torch.randn(4, 64)
    weight[:, 0] = 8
    energy = torch.ones(1, 64)
    energy[0, 0] = 0
    rounded, _ = to_levels(weight, 7, energy)
    plain, _ = to_levels(weight, 7, None)

    def seen_error(candidate):
        return float(((candidate - weight) * energy).square().sum())

    assert seen_error(rounded) < 0.5 * seen_error(plain)


def test_norms_are_measured_again_on_images(card):
    images = torch.rand(512, 3, 8, 8)
    quantized = card.quantized("int4", images, norms=True)
    seen = quantized.network[0](quantized.normalisation(images))
    assert torch.allclose(quantized.network[1].running_mean, seen.mean(dim=(0, 2, 3)), atol=1e-5)
    assert not quantized.network[1].training
    assert quantized.network[1].momentum == card.network[1].momentum


def test_images_are_seen_in_even_parts_that_need_little_memory(card, monkeypatch):
    images, sizes = torch.rand(10, 3, 8, 8), []
    whole = card.quantized("int4", images, norms=True)
    monkeypatch.setattr("winninghand.cards.card.images_at_once", lambda *_: 4)
    card.normalisation.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    parts = card.quantized("int4", images, norms=True)
    assert sizes == [4, 3, 3] * 2 and parts.metadata == whole.metadata
    for name, weight in weights(parts).items():
        assert torch.allclose(weight, weights(whole)[name], atol=0.02), name


def test_bad_input_is_refused_in_one_line(card):
    with pytest.raises(wh.InputError, match="int8"):
        card.quantized("int2")
    with pytest.raises(wh.InputError, match="images"):
        card.quantized("int8", norms=True)
    with torch.no_grad():
        card.network[6].weight[0, 0] = 1e6
    with pytest.raises(wh.InputError, match="fp16"):
        card.quantized("fp16")
