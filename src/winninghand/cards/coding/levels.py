"""Whole levels times a scale per output channel: how quantized weights are written."""

from __future__ import annotations

import numpy as np

from winninghand.base.errors import InputError
from winninghand.cards.coding.formats import Array, Content, Layout
from winninghand.cards.coding.histogram import read_counted, write_counted
from winninghand.cards.coding.mask import read_mask, write_mask
from winninghand.cards.coding.streams import StreamReader, StreamWriter

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


def fits_levels(content: Content) -> bool:
    """Tell whether a tensor is levels times scales, bit by bit."""
    return levels_of(content) is not None


def write_levels(writer: StreamWriter, content: Content) -> None:
    """Write the scales, a mask of what is not zero, and the levels of that by their histogram."""
    levels = levels_of(content)
    assert levels is not None and content.scales is not None
    mask = levels != 0
    writer.write_bytes(content.scales)
    write_mask(writer, mask, content.layout.shape)
    write_counted(writer, levels[mask] + _ZERO, LEVELS)


def read_levels(reader: StreamReader, layout: Layout) -> Content:
    """Return what `write_levels` wrote."""
    scales = reader.read_bytes(layout.shape[0] if layout.shape else 1, "float32")
    if not _scalable(layout, scales):
        raise InputError("a scale in it is not a finite number above zero")
    mask = read_mask(reader, layout.shape)
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
