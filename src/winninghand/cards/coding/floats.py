"""Floating-point numbers: sign and exponent by their histograms, the mantissa as it is.

Floats are given and returned as flat unsigned bits of their own width.
"""

from __future__ import annotations

import numpy as np

from winninghand.cards.coding.formats import FLOATS, Array, Layout
from winninghand.cards.coding.histogram import read_counted, write_counted
from winninghand.cards.coding.streams import StreamReader, StreamWriter


def write_signs(writer: StreamWriter, bits: Array, layout: Layout) -> None:
    """Code the sign bits of floats."""
    write_counted(writer, bits >> FLOATS[layout.dtype].sign_shift, 2)


def read_signs(reader: StreamReader, count: int, layout: Layout) -> Array:
    """Return the bits of `count` signs, all others zero."""
    signs = read_counted(reader, count, 2).astype(layout.unsigned)
    signs <<= FLOATS[layout.dtype].sign_shift
    return signs


def write_floats(writer: StreamWriter, bits: Array, layout: Layout) -> None:
    """Code floats: signs, exponents, the mantissa's odd upper bits, its whole lower bytes."""
    form = FLOATS[layout.dtype]
    write_signs(writer, bits, layout)
    exponents = (bits >> form.mantissa_bits) & ((1 << form.exponent_bits) - 1)
    write_counted(writer, exponents, 1 << form.exponent_bits)
    raw_bytes, odd_bits = divmod(form.mantissa_bits, 8)
    upper = (bits >> 8 * raw_bytes) & ((1 << odd_bits) - 1)
    write_counted(writer, upper, 1 << odd_bits)
    for index in range(raw_bytes):
        writer.write_bytes((bits >> 8 * index).astype(np.uint8))


def read_floats(reader: StreamReader, count: int, layout: Layout) -> Array:
    """Return the bits of the `count` floats that `write_floats` wrote."""
    form = FLOATS[layout.dtype]
    bits = read_signs(reader, count, layout)
    raw_bytes, odd_bits = divmod(form.mantissa_bits, 8)
    for width, shift in ((form.exponent_bits, form.mantissa_bits), (odd_bits, 8 * raw_bytes)):
        bits |= read_counted(reader, count, 1 << width).astype(layout.unsigned) << shift
    for index in range(raw_bytes):
        bits |= reader.read_bytes(count, "uint8").astype(layout.unsigned) << 8 * index
    return bits
