from __future__ import annotations

import math

import pytest
import torch

from winninghand.cards.codec import decode_tensors, encode_tensors, entropy_bound, read_index


def pruned(shape: tuple[int, ...], density: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape, generator=generator)
    kept = round(density * weight.numel())
    threshold = weight.abs().flatten().topk(kept).values[-1]
    return torch.where(weight.abs() >= threshold, weight, 0.0)


def quantized(weight: torch.Tensor, highest: int) -> tuple[torch.Tensor, torch.Tensor]:
    scales = weight.abs().flatten(1).amax(1).clamp_min(1e-6) / highest
    spread = scales.reshape(-1, *[1] * (weight.ndim - 1))
    return torch.round(weight / spread) * spread + 0.0, scales


def payload(tensors: dict[str, torch.Tensor], scales: dict[str, torch.Tensor] | None = None) -> int:
    streams = encode_tensors(tensors, scales)
    return streams["coded"].numel() + streams["raw"].numel()


@pytest.mark.parametrize("density", [0.02, 0.05, 0.1, 0.5])
@pytest.mark.parametrize("value", ["float32", "float16", "int8", "int4", "binary"])
def test_independent_weights_take_their_entropy(density, value):
    weight, scales = pruned((96, 96, 3, 3), density), None
    if value == "binary":
        weight = weight.sign() * 0.05
    elif value.startswith("int"):
        weight, spread = quantized(weight, 127 if value == "int8" else 7)
        scales = {"weight": spread}
    else:
        weight = weight.to(getattr(torch, value))
    bound = entropy_bound({"weight": weight}, {"weight"}, scales)
    assert 0.95 * bound < payload({"weight": weight}, scales) < 1.01 * bound


def test_the_bound_of_a_binary_layer_is_its_mask_its_signs_and_one_magnitude():
    weight = torch.zeros(1000)
    weight[:500:2] = 0.25
    weight[1:500:2] = -0.25
    assert entropy_bound({"weight": weight}, {"weight"}) == pytest.approx((1000 + 500 + 32) / 8)


def test_the_bound_of_other_tensors_is_their_width():
    tensors = {"bias": torch.randn(7), "count": torch.tensor(3)}
    assert entropy_bound(tensors, set()) == 7 * 4 + 8


def test_the_bound_of_floats_is_sign_and_exponent_entropy_and_mantissa():
    weight = torch.tensor([1.0, -1.5, 2.0, -2.5])
    assert entropy_bound({"weight": weight}, {"weight"}) == pytest.approx(4 * (1 + 1 + 23) / 8)


def test_a_tensor_of_incompressible_bytes_grows_by_nothing():
    noise = torch.randint(0, 256, (5000,), dtype=torch.uint8)
    assert payload({"noise": noise}) <= 5000 + 8


@pytest.mark.parametrize("axis", [0, 1, 2, None])
def test_layers_whose_slices_differ_in_density_take_less_than_the_bound(axis):
    generator = torch.Generator().manual_seed(1)
    odds = torch.full((128, 128, 9), -3.5)
    for part in (0, 1, 2) if axis is None else (axis,):
        shape = [1, 1, 1]
        shape[part] = odds.shape[part]
        odds = odds + torch.randn(shape, generator=generator)
    mask = (torch.rand(odds.shape, generator=generator) < odds.sigmoid()).float()
    weight = (mask * torch.randn(odds.shape, generator=generator)).reshape(128, 128, 3, 3) + 0.0
    binary = weight.sign() * 0.05
    ideal = -(mask * odds.sigmoid().log2() + (1 - mask) * (1 - odds.sigmoid()).log2()).sum() + mask.sum()
    bound = entropy_bound({"weight": binary}, {"weight"})
    found = payload({"weight": binary})
    assert found < bound - 0.6 * (bound - float(ideal) / 8)
    assert torch.equal(decode_tensors(encode_tensors({"weight": weight})).tensors["weight"], weight)


@pytest.mark.parametrize("value", ["float32", "int8", "binary"])
def test_blocks_of_four_inputs_are_coded_as_blocks(value):
    generator = torch.Generator().manual_seed(2)
    kept = torch.rand((96, 24, 1, 9), generator=generator) < 0.05
    weight = torch.randn((96, 24, 4, 9), generator=generator) * kept
    weight, scales = weight.reshape(96, 96, 3, 3) + 0.0, None
    if value == "binary":
        weight = weight.sign() * 0.05
    if value == "int8":
        # Some levels within the blocks are zero.
        weight, spread = quantized(weight, 127)
        scales = {"weight": spread}
    streams = encode_tensors({"weight": weight}, scales)
    [entry] = read_index(streams)
    assert (
        entry.kind == {"float32": "block4-floats", "int8": "block4-levels", "binary": "block4-binary"}[value]
    )
    decoded = decode_tensors(streams)
    assert torch.equal(decoded.tensors["weight"], weight)
    assert decoded.scales.keys() == (scales or {}).keys()
    # The bound counts a mask of single weights; a mask of blocks takes a quarter of that.
    places, density = weight.numel(), float(kept.float().mean())
    bits = -(density * math.log2(density) + (1 - density) * math.log2(1 - density))
    bound = entropy_bound({"weight": weight}, {"weight"}, scales) - 0.75 * places * bits / 8
    assert 0.98 * bound < payload({"weight": weight}, scales) < 1.02 * bound
