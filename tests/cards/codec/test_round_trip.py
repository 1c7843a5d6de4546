from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from winninghand.base.errors import InputError
from winninghand.cards.codec import decode_tensors, encode_tensors
from winninghand.cards.codec.encodings import DTYPES, FLOATS, content_of

SHAPES = st.one_of(
    st.just(()),
    st.lists(st.integers(0, 9), min_size=1, max_size=5).map(tuple),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.sampled_from([1, 3])),
)
DENSITIES = st.sampled_from([0.0, 0.001, 0.02, 0.3, 0.5, 0.9, 0.999, 1.0])


def assert_same_bits(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(content_of("", found).bits, content_of("", expected).bits)


def random_bits(shape: tuple[int, ...], density: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    bits = random.integers(0, 1 << 64, size=shape, dtype=np.uint64)
    return np.where(random.random(shape) < density, bits, np.uint64(0))


@settings(max_examples=150, deadline=None)
@given(shape=SHAPES, density=DENSITIES, dtype=st.sampled_from(list(FLOATS)), seed=st.integers(0, 1 << 32))
def test_any_bits_of_any_float_type_come_back(shape, density, dtype, seed):
    width = DTYPES[dtype].itemsize
    bits = np.asarray(random_bits(shape, density, seed)).astype(f"uint{8 * width}").view(f"int{8 * width}")
    tensor = torch.from_numpy(np.array(bits).reshape(-1)).view(DTYPES[dtype]).reshape(shape)
    assert_same_bits(decode_tensors(encode_tensors({"weight": tensor})).tensors["weight"], tensor)


@settings(max_examples=80, deadline=None)
@given(shape=SHAPES, density=DENSITIES, dtype=st.sampled_from(list(FLOATS)), seed=st.integers(0, 1 << 32))
def test_trained_like_and_binary_weights_come_back_beside_each_other(shape, density, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(shape, generator=generator) < density
    weight = (torch.randn(shape, generator=generator) * mask).to(DTYPES[dtype]) + 0
    tensors = {"weight": weight, "binary": weight.sign() * 0.0371, "count": torch.tensor(7), "mask": mask}
    decoded = decode_tensors(encode_tensors(tensors))
    assert list(decoded.tensors) == list(tensors)
    for name, tensor in tensors.items():
        assert_same_bits(decoded.tensors[name], tensor)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(1, 30),
    columns=st.integers(1, 50),
    density=DENSITIES,
    highest=st.sampled_from([1, 7, 127]),
    seed=st.integers(0, 1 << 32),
)
def test_whole_levels_come_back_with_their_scales(rows, columns, density, highest, seed):
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(-highest, highest + 1, (rows, columns, 3, 3), generator=generator)
    levels *= torch.rand(levels.shape, generator=generator) < density
    scales = torch.rand(rows, generator=generator) + 1e-3
    weight = levels.float() * scales.reshape(-1, 1, 1, 1) + 0.0
    decoded = decode_tensors(encode_tensors({"weight": weight}, {"weight": scales}))
    assert_same_bits(decoded.tensors["weight"], weight)
    assert torch.equal(decoded.scales["weight"], scales)


def test_scales_that_are_not_exact_are_left_out():
    weight = torch.randn(4, 5)
    decoded = decode_tensors(encode_tensors({"weight": weight}, {"weight": torch.ones(4)}))
    assert_same_bits(decoded.tensors["weight"], weight)
    assert decoded.scales == {}


@pytest.mark.parametrize(
    "tensor",
    [
        torch.full((3, 3), -0.0),
        torch.tensor([float("nan"), -float("inf"), 0.0, 1e-45]),
        torch.zeros(64, 64, 3, 3),
        torch.ones(64, 64),
        torch.randn(6, 5, 4).permute(2, 0, 1),
        torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        torch.nn.Parameter(torch.randn(5)),
    ],
    ids=[
        "negative zeros",
        "special values",
        "all pruned",
        "all alike",
        "permuted",
        "channels last",
        "parameter",
    ],
)
def test_special_tensors_come_back(tensor):
    assert_same_bits(decode_tensors(encode_tensors({"weight": tensor})).tensors["weight"], tensor)


def test_whole_numbers_and_truth_values_come_back():
    tensors = {
        "int64": torch.tensor([-(1 << 62), 5]),
        "int32": torch.tensor([-7], dtype=torch.int32),
        "int16": torch.tensor([[300]], dtype=torch.int16),
        "int8": torch.tensor([-128], dtype=torch.int8),
        "uint8": torch.arange(256, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
    }
    decoded = decode_tensors(encode_tensors(tensors)).tensors
    for name, tensor in tensors.items():
        assert_same_bits(decoded[name], tensor)


def test_complex_numbers_are_refused():
    with pytest.raises(InputError, match="convert it"):
        encode_tensors({"weight": torch.zeros(2, dtype=torch.complex64)})
