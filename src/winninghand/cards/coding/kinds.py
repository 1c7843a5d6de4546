"""The ways to write one tensor; every one brings back the very same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from winninghand.base.errors import InputError
from winninghand.cards.coding.floats import read_floats, read_signs, write_floats, write_signs
from winninghand.cards.coding.formats import FLOATS, Array, Content, Layout
from winninghand.cards.coding.levels import fits_levels, read_levels, write_levels
from winninghand.cards.coding.mask import read_mask, write_mask
from winninghand.cards.coding.streams import StreamReader, StreamWriter


@dataclass(frozen=True)
class Kind:
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


def _write_floats(writer: StreamWriter, content: Content) -> None:
    """Write a mask of what is not zero, and each of those as sign, exponent and mantissa."""
    mask = content.bits != 0
    write_mask(writer, mask, content.layout.shape)
    write_floats(writer, content.bits[mask], content.layout)


def _read_floats(reader: StreamReader, layout: Layout) -> Content:
    mask = read_mask(reader, layout.shape)
    kept = read_floats(reader, int(np.count_nonzero(mask)), layout)
    return _scattered(mask, kept, layout)


def _write_binary(writer: StreamWriter, content: Content) -> None:
    """Write the one magnitude, a mask of what is not zero, and the signs."""
    mask = content.bits != 0
    kept = content.bits[mask]
    writer.write_bytes(kept[:1] & _all_but_sign(content.layout))
    write_mask(writer, mask, content.layout.shape)
    write_signs(writer, kept, content.layout)


def _read_binary(reader: StreamReader, layout: Layout) -> Content:
    magnitude = reader.read_bytes(1, layout.unsigned)
    mask = read_mask(reader, layout.shape)
    signs = read_signs(reader, int(np.count_nonzero(mask)), layout)
    return _scattered(mask, signs | magnitude, layout)


def _all_but_sign(layout: Layout) -> Array:
    """Return a number with all bits set but the sign."""
    return np.array((1 << FLOATS[layout.dtype].sign_shift) - 1, dtype=layout.unsigned)


def _scattered(mask: Array, kept: Array, layout: Layout) -> Content:
    """Return a tensor from its mask and the bits of what it keeps."""
    bits = np.zeros(layout.size, dtype=layout.unsigned)
    bits[mask] = kept
    return Content(layout, bits)


KINDS = {
    "raw": Kind(lambda content: True, _write_raw, _read_raw),
    "floats": Kind(_is_float, _write_floats, _read_floats),
    "binary": Kind(fits_binary, _write_binary, _read_binary),
    "levels": Kind(fits_levels, write_levels, read_levels),
}
