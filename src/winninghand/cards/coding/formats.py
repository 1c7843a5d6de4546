"""Tensors as bits: number format, shape, and the bits themselves."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from winninghand.base.errors import InputError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class FloatFormat:
    """A binary floating-point format: one sign bit, then exponent, then mantissa."""

    exponent_bits: int
    mantissa_bits: int

    @property
    def sign_shift(self) -> int:
        """Position of the sign bit."""
        return self.exponent_bits + self.mantissa_bits


DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
}
FLOATS = {
    "float64": FloatFormat(11, 52),
    "float32": FloatFormat(8, 23),
    "float16": FloatFormat(5, 10),
    "bfloat16": FloatFormat(8, 7),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Layout:
    """Number format and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def unsigned(self) -> str:
        """NumPy's unsigned type of the same width."""
        return f"uint{8 * DTYPES[self.dtype].itemsize}"


@dataclass(frozen=True)
class Content:
    """A tensor as flat unsigned bits; where it is made of whole levels, with their scales.

    `scales` is float32 (output channels,): the tensor is float32 and each of its rows is levels
    times that row's scale.
    """

    layout: Layout
    bits: Array
    scales: Array | None = None


def content_of(name: str, tensor: torch.Tensor) -> Content:
    """Return a tensor's bits; `InputError` for a number format that a card cannot hold."""
    if tensor.dtype not in _NAMES:
        raise InputError(f"{name!r} is {tensor.dtype}, which a card cannot hold; convert it to float32")
    layout = Layout(_NAMES[tensor.dtype], tuple(tensor.shape))
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return Content(layout, flat.view(_WHOLE[flat.element_size()]).numpy().view(layout.unsigned))


def tensor_of(content: Content) -> torch.Tensor:
    """Return the tensor with these bits."""
    bits = content.bits
    signed = bits.view(f"int{8 * bits.itemsize}") if bits.itemsize > 1 else bits.view(np.uint8)
    return torch.from_numpy(signed).view(DTYPES[content.layout.dtype]).reshape(content.layout.shape)
