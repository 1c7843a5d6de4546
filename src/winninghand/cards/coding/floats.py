"""Floating-point numbers: sign and exponent by their histograms, the mantissa as it is."""

from __future__ import annotations

import numpy as np

from winninghand.cards.coding.formats import Array, FloatFormat
from winninghand.cards.coding.histogram import read_counted, write_counted
from winninghand.cards.coding.streams import StreamReader, StreamWriter


def write_signs(writer: StreamWriter, bits: Array, layout: FloatFormat) -> None:
    """Code the sign bits of floats given as bits."""
    write_counted(writer, bits >> layout.sign_shift, 2)


def read_signs(reader: StreamReader, count: int, layout: FloatFormat) -> Array:
    """Return the bits, uint64, of `count` signs."""
    return read_counted(reader, count, 2).astype(np.uint64) << np.uint64(layout.sign_shift)


def write_floats(writer: StreamWriter, bits: Array, layout: FloatFormat) -> None:
    """Code floats given as bits: signs, exponents, the mantissa's odd upper bits, its whole lower bytes."""
    write_signs(writer, bits, layout)
    exponents = (bits >> layout.mantissa_bits) & ((1 << layout.exponent_bits) - 1)
    write_counted(writer, exponents, 1 << layout.exponent_bits)
    raw_bytes, odd_bits = divmod(layout.mantissa_bits, 8)
    upper = (bits >> 8 * raw_bytes) & ((1 << odd_bits) - 1)
    write_counted(writer, upper, 1 << odd_bits)
    for index in range(raw_bytes):
        writer.write_bytes((bits >> 8 * index).astype(np.uint8))


def read_floats(reader: StreamReader, count: int, layout: FloatFormat) -> Array:
    """Return the bits, uint64, of the `count` floats that `write_floats` wrote."""
    bits = read_signs(reader, count, layout)
    exponents = read_counted(reader, count, 1 << layout.exponent_bits).astype(np.uint64)
    bits |= exponents << np.uint64(layout.mantissa_bits)
    raw_bytes, odd_bits = divmod(layout.mantissa_bits, 8)
    upper = read_counted(reader, count, 1 << odd_bits).astype(np.uint64)
    bits |= upper << np.uint64(8 * raw_bytes)
    for index in range(raw_bytes):
        bits |= reader.read_bytes(count, "uint8").astype(np.uint64) << np.uint64(8 * index)
    return bits
