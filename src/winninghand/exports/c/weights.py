"""The weights of a layer in a C file: places and values apart, each in the form that takes least room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from winninghand.engine.program import Convolution
from winninghand.exports.c.tables import Array

_LARGEST_GAP = 255


@dataclass(frozen=True)
class Encoded:
    """Weights as `functions.c` reads them: tables, and the names of the functions that read them.

    `scales` (out,) multiply the values of an output channel. `places` is None where every place has a value.
    """

    places: Array | None
    values: Array
    scales: Array
    next_place: str
    next_value: str
    kept: int

    @property
    def bytes(self) -> int:
        """What the tables take."""
        return self.values.nbytes + (0 if self.places is None else self.places.nbytes)


def encoded(layer: Convolution) -> Encoded:
    """Return the smallest form of a layer's weights; none changes their values."""
    rows, scales = _values(layer)
    kept = rows != 0
    forms = [_with(kept, _gaps(kept), "next_by_gaps", rows, scales, layer)]
    forms.append(_with(kept, np.packbits(kept, bitorder="little"), "next_of_mask", rows, scales, layer))
    if kept.all() or not _is_binary(layer):
        forms.append(_with(np.ones_like(kept), None, "next_of_all", rows, scales, layer))
    return min(forms, key=lambda one: one.bytes)


def _values(layer: Convolution) -> tuple[Array, Array]:
    """Return what is written of the weights, (out, places), and what those of a channel are multiplied by."""
    if layer.levels is None:
        weight = layer.weight.detach().numpy()
        return weight.reshape(len(weight), -1), np.ones(len(weight), np.float32)
    levels = layer.levels.values.numpy()
    return levels.reshape(len(levels), -1), layer.levels.scales.numpy().astype(np.float32)


def _is_binary(layer: Convolution) -> bool:
    return layer.levels is not None and layer.levels.binary


def _with(
    told: Array, places: Array | None, next_place: str, rows: Array, scales: Array, layer: Convolution
) -> Encoded:
    """Return weights of which those that are `told` are written, in their smallest form."""
    values, written, kept = rows[told], rows[told], int((rows != 0).sum())
    if _is_binary(layer):
        written, next_value = np.packbits(values > 0, bitorder="little"), "next_sign"
    elif layer.levels is None:
        half = values.astype(np.float16)
        same = bool((half.astype(np.float32) == values).all())
        written, next_value = (half.view(np.uint16), "next_half") if same else (values, "next_float")
    elif np.abs(values.astype(int)).max(initial=0) < 8:
        written, next_value = _nibbles(values), "next_nibble"
    else:
        next_value = "next_byte"
    return Encoded(places, written, scales, next_place, next_value, kept)


def _gaps(kept: Array) -> Array:
    """Return how many places are passed over before each that is kept, and before the end of each row."""
    # One more place stands for the end.
    rows, columns = np.nonzero(np.pad(kept, ((0, 0), (0, 1)), constant_values=True))
    places = rows * (kept.shape[1] + 1) + columns
    passed = np.diff(places, prepend=-1) - 1
    escapes, rests = np.divmod(passed, _LARGEST_GAP)
    gaps = np.full(len(passed) + int(escapes.sum()), _LARGEST_GAP, np.uint8)
    gaps[np.arange(len(passed)) + escapes.cumsum()] = rests
    return gaps


def _nibbles(values: Array) -> Array:
    """Return two values −7 .. 7 in each byte, as 1 .. 15, the first in the lower half."""
    raised = (np.pad(values, (0, len(values) % 2)) + 8).astype(np.uint8)
    packed: Array = raised[::2] | raised[1::2] << 4
    return packed
