"""Tensors as bits, and the ways to write one; every one brings back the very same bits.

`raw` writes bytes as they are. `floats` writes a mask of what is not zero, then signs and exponents
by their histograms, and mantissas. `binary` is for floats of one magnitude: mask and signs. `levels`
is for quantized weights: whole numbers times a float32 scale per output channel. The three with `block4`
in front write the mask by blocks of four inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np
import torch

from winninghand.base.errors import InputError
from winninghand.cards.codec.mask import (
    in_blocks,
    read_block_mask,
    read_mask,
    write_block_mask,
    write_mask,
)
from winninghand.cards.codec.streams import (
    Array,
    Mask,
    StreamReader,
    StreamWriter,
    read_counted,
    write_counted,
)


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


@dataclass(frozen=True)
class MaskCoder:
    """A way to write which weights of a tensor of some shape are kept, flat, and to read it back."""

    write: Callable[[StreamWriter, Mask, tuple[int, ...]], None]
    read: Callable[[StreamReader, tuple[int, ...]], Mask]


_ONE_BY_ONE = MaskCoder(write_mask, read_mask)
_BY_BLOCKS = MaskCoder(write_block_mask, read_block_mask)


@dataclass(frozen=True)
class Encoding:
    """A way to write a tensor: whether it is exact for this one, how to write it and read it back."""

    fits: Callable[[Content], bool]
    write: Callable[[StreamWriter, Content], None]
    read: Callable[[StreamReader, Layout], Content]


def fits_binary(content: Content) -> bool:
    """Tell whether all that is not zero shares one magnitude."""
    if not _is_float(content):
        return False
    magnitudes = content.bits[content.bits != 0] & _all_but_sign(content.layout)
    return bool(magnitudes.size and (magnitudes == magnitudes[0]).all())


def _is_float(content: Content) -> bool:
    """Tell whether a tensor is of floats."""
    return content.layout.dtype in FLOATS


def _write_raw(writer: StreamWriter, content: Content) -> None:
    """Write the bytes as they are."""
    writer.write_bytes(content.bits)


def _read_raw(reader: StreamReader, layout: Layout) -> Content:
    bits = reader.read_bytes(layout.size, layout.unsigned)
    if layout.dtype == "bool" and bool((bits > 1).any()):
        raise InputError("a truth value in it is neither 0 nor 1")
    return Content(layout, bits)


def _write_floats(masks: MaskCoder, writer: StreamWriter, content: Content) -> None:
    """Write a mask of what is not zero, and each of those as sign, exponent and mantissa."""
    mask = content.bits != 0
    masks.write(writer, mask, content.layout.shape)
    _write_values(writer, content.bits[mask], content.layout)


def _read_floats(masks: MaskCoder, reader: StreamReader, layout: Layout) -> Content:
    mask = masks.read(reader, layout.shape)
    kept = _read_values(reader, int(np.count_nonzero(mask)), layout)
    return _scattered(mask, kept, layout)


def _write_binary(masks: MaskCoder, writer: StreamWriter, content: Content) -> None:
    """Write the one magnitude, a mask of what is not zero, and the signs."""
    mask = content.bits != 0
    kept = content.bits[mask]
    writer.write_bytes(kept[:1] & _all_but_sign(content.layout))
    masks.write(writer, mask, content.layout.shape)
    _write_signs(writer, kept, content.layout)


def _read_binary(masks: MaskCoder, reader: StreamReader, layout: Layout) -> Content:
    magnitude = reader.read_bytes(1, layout.unsigned)
    mask = masks.read(reader, layout.shape)
    signs = _read_signs(reader, int(np.count_nonzero(mask)), layout)
    return _scattered(mask, signs | magnitude, layout)


def _all_but_sign(layout: Layout) -> Array:
    """Return a number with all bits set but the sign."""
    return np.array((1 << FLOATS[layout.dtype].sign_shift) - 1, dtype=layout.unsigned)


def _scattered(mask: Array, kept: Array, layout: Layout) -> Content:
    """Return a tensor from its mask and the bits of what it keeps."""
    bits = np.zeros(layout.size, dtype=layout.unsigned)
    bits[mask] = kept
    return Content(layout, bits)


def _write_signs(writer: StreamWriter, bits: Array, layout: Layout) -> None:
    """Code the sign bits of floats."""
    write_counted(writer, bits >> FLOATS[layout.dtype].sign_shift, 2)


def _read_signs(reader: StreamReader, count: int, layout: Layout) -> Array:
    """Return the bits of `count` signs, all others zero."""
    signs = read_counted(reader, count, 2).astype(layout.unsigned)
    signs <<= FLOATS[layout.dtype].sign_shift
    return signs


def _write_values(writer: StreamWriter, bits: Array, layout: Layout) -> None:
    """Code floats: signs, exponents, the mantissa's odd upper bits, its whole lower bytes."""
    form = FLOATS[layout.dtype]
    _write_signs(writer, bits, layout)
    exponents = (bits >> form.mantissa_bits) & ((1 << form.exponent_bits) - 1)
    write_counted(writer, exponents, 1 << form.exponent_bits)
    raw_bytes, odd_bits = divmod(form.mantissa_bits, 8)
    upper = (bits >> 8 * raw_bytes) & ((1 << odd_bits) - 1)
    write_counted(writer, upper, 1 << odd_bits)
    for index in range(raw_bytes):
        writer.write_bytes((bits >> 8 * index).astype(np.uint8))


def _read_values(reader: StreamReader, count: int, layout: Layout) -> Array:
    """Return the bits of the `count` floats that `_write_values` wrote."""
    form = FLOATS[layout.dtype]
    bits = _read_signs(reader, count, layout)
    raw_bytes, odd_bits = divmod(form.mantissa_bits, 8)
    for width, shift in ((form.exponent_bits, form.mantissa_bits), (odd_bits, 8 * raw_bytes)):
        bits |= read_counted(reader, count, 1 << width).astype(layout.unsigned) << shift
    for index in range(raw_bytes):
        bits |= reader.read_bytes(count, "uint8").astype(layout.unsigned) << 8 * index
    return bits


# Levels −127 .. 127 are coded as 1 .. 255.
LEVELS = 256
_ZERO = 128


def levels_of(content: Content) -> Array | None:
    """Return the flat levels, int64, of a tensor with scales; None where they would not be exact."""
    layout, scales = content.layout, content.scales
    if scales is None or not _scalable(layout, scales):
        return None
    rows = content.bits.view(np.float32).reshape(layout.shape[0], -1)
    with np.errstate(over="ignore", invalid="ignore"):
        levels = np.rint(rows / scales[:, None]).reshape(-1)
    within = bool((np.abs(levels) < _ZERO).all())
    if not within or not np.array_equal(_products(levels, layout, scales), content.bits):
        return None
    return levels.astype(np.int64)


def _fits_qint(content: Content) -> bool:
    """Tell whether a tensor is levels times scales, bit by bit."""
    return levels_of(content) is not None


def _write_qint(masks: MaskCoder, writer: StreamWriter, content: Content) -> None:
    """Write the scales, a mask of what is not zero, and the levels of that by their histogram."""
    levels = levels_of(content)
    assert levels is not None and content.scales is not None
    mask = levels != 0
    writer.write_bytes(content.scales)
    masks.write(writer, mask, content.layout.shape)
    write_counted(writer, levels[mask] + _ZERO, LEVELS)


def _read_qint(masks: MaskCoder, reader: StreamReader, layout: Layout) -> Content:
    """Return what `_write_qint` wrote."""
    scales = reader.read_bytes(layout.shape[0] if layout.shape else 1, "float32")
    if not _scalable(layout, scales):
        raise InputError("a scale in it is not a finite number above zero")
    mask = masks.read(reader, layout.shape)
    levels = np.zeros(layout.size, dtype=np.float32)
    levels[mask] = read_counted(reader, int(np.count_nonzero(mask)), LEVELS) - _ZERO
    return Content(layout, _products(levels, layout, scales), scales)


def _scalable(layout: Layout, scales: Array) -> bool:
    """Tell whether `scales` can be those of a tensor of this layout."""
    shaped = layout.dtype == "float32" and layout.size > 0 and scales.shape == layout.shape[:1]
    return shaped and bool(np.isfinite(scales).all() and (scales > 0).all())


def _products(levels: Array, layout: Layout, scales: Array) -> Array:
    """Return the bits of float32 levels times scales."""
    with np.errstate(over="ignore"):
        rows: Array = levels.reshape(layout.shape[0], -1) * scales[:, None]
    return rows.reshape(-1).view(np.uint32)


def _by_blocks(fits: Callable[[Content], bool], content: Content) -> bool:
    """Tell whether a tensor that an encoding fits keeps blocks of inputs."""
    if not fits(content):
        return False
    levels = levels_of(content)
    return in_blocks((content.bits if levels is None else levels) != 0, content.layout.shape)


_MASKED = {
    "floats": (_is_float, _write_floats, _read_floats),
    "binary": (fits_binary, _write_binary, _read_binary),
    "levels": (_fits_qint, _write_qint, _read_qint),
}
BLOCKED = {f"block4-{name}": name for name in _MASKED}
"""Encodings whose mask is by blocks, which version 0.1 cannot read, and those that they are else."""
ENCODINGS = {
    "raw": Encoding(lambda content: True, _write_raw, _read_raw),
    **{
        name: Encoding(fits, partial(write, _ONE_BY_ONE), partial(read, _ONE_BY_ONE))
        for name, (fits, write, read) in _MASKED.items()
    },
    **{
        blocked: Encoding(partial(_by_blocks, fits), partial(write, _BY_BLOCKS), partial(read, _BY_BLOCKS))
        for blocked, (fits, write, read) in ((key, _MASKED[name]) for key, name in BLOCKED.items())
    },
}
