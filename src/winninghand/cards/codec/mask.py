"""Which weights are kept, at the entropy of densities that may differ within a layer.

A weight has three axes: output channel, input channel, and position in the kernel. Trained networks
keep far more in some slices of an axis than in others. The slices of an axis are put into classes of
like density where that pays, and each block (a class of each axis) is coded under its own density.
A mask whose inputs come in fours is that of the fours, and of what is kept within them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from math import prod

import numpy as np

from winninghand.base.errors import InputError
from winninghand.cards.codec.streams import (
    Array,
    Mask,
    StreamReader,
    StreamWriter,
    read_bits,
    read_counted,
    write_bits,
    write_counted,
)

_AXES = 3
# Each class spans an octave of the odds; the middle one lies around the whole layer's.
_CLASSES = 9
# What a block costs besides the entropy of its weights, and a map besides that of its classes.
_BITS_PER_BLOCK = 12
_BITS_PER_MAP = 32
_CHOICES = np.array(list(product((False, True), repeat=_AXES)))


def write_mask(writer: StreamWriter, mask: Mask, shape: tuple[int, ...]) -> None:
    """Code the flat mask of a tensor of this shape, its axes divided where that is shorter."""
    cube = mask.reshape(_cube(shape))
    classes = [_density_classes(cube, axis) for axis in range(_AXES)]
    choice = _shortest_choice(cube, classes)
    writer.write_symbols(np.array([choice]), np.ones(len(_CHOICES)))
    for axis in np.flatnonzero(_CHOICES[choice]):
        write_counted(writer, classes[axis], _CLASSES)
        cube = cube.take(np.argsort(classes[axis], kind="stable"), axis)
    for block in _blocks(classes, _CHOICES[choice]):
        write_bits(writer, cube[block].reshape(-1))


def read_mask(reader: StreamReader, shape: tuple[int, ...]) -> Mask:
    """Return the flat mask that `write_mask` wrote."""
    cube = np.empty(_cube(shape), dtype=np.bool_)
    divided = _CHOICES[int(reader.read_symbols(np.ones(len(_CHOICES)), 1)[0])]
    classes = [
        read_counted(reader, length, _CLASSES) if yes else np.zeros(length, dtype=np.int32)
        for length, yes in zip(cube.shape, divided, strict=True)
    ]
    for block in _blocks(classes, divided):
        part = cube[block]
        cube[block] = read_bits(reader, part.size).reshape(part.shape)
    for axis in np.flatnonzero(divided)[::-1]:
        # Sorting the order by which slices were sorted puts them back.
        cube = cube.take(np.argsort(np.argsort(classes[axis], kind="stable")), axis)
    return cube.reshape(-1)


# Consecutive inputs of one output and place that a pattern keeps or removes together.
_BLOCK = 4


def in_blocks(mask: Mask, shape: tuple[int, ...]) -> bool:
    """Tell whether a flat mask keeps some blocks of four inputs, filled as chance does not fill them."""
    kept = kept_blocks(mask, shape)
    if kept is None or not 0 < kept < mask.size // _BLOCK:
        return False
    return filled_by_pattern(int(np.count_nonzero(mask)), mask.size, kept)


def kept_blocks(mask: Mask, shape: tuple[int, ...]) -> int | None:
    """Return of how many blocks of four inputs something is kept; None where inputs do not divide so."""
    cube = mask.reshape(_cube(shape))
    if not cube.shape[1] or cube.shape[1] % _BLOCK:
        return None
    return int(np.count_nonzero(_divided(cube).any(axis=2)))


def filled_by_pattern(weights: int, size: int, blocks: int) -> bool:
    """Tell whether some kept `weights`, of a `size` and in so many blocks, lie in them by a pattern.

    Where weights are kept independently at a density d, d / (1 − (1 − d)⁴) of a block that is kept at all is
    kept. The mark is half-way from there to 1: rounding makes some weights of a block zero.
    """
    density = weights / size
    return weights / (_BLOCK * blocks) >= (1 + density / (1 - (1 - density) ** _BLOCK)) / 2


def write_block_mask(writer: StreamWriter, mask: Mask, shape: tuple[int, ...]) -> None:
    """Code a flat mask as the mask of its blocks, and which weights are kept in those of the blocks."""
    divided = _divided(mask.reshape(_cube(shape)))
    blocks = np.asarray(divided.any(axis=2))
    write_mask(writer, blocks.reshape(-1), blocks.shape)
    write_bits(writer, divided[_spread(blocks, divided.shape)])


def read_block_mask(reader: StreamReader, shape: tuple[int, ...]) -> Mask:
    """Return the flat mask that `write_block_mask` wrote."""
    outputs, inputs, positions = _cube(shape)
    if inputs % _BLOCK:
        raise InputError("its index says blocks of a tensor that has none")
    divided = np.zeros((outputs, inputs // _BLOCK, _BLOCK, positions), dtype=np.bool_)
    blocks = read_mask(reader, (outputs, inputs // _BLOCK, positions))
    within = _spread(blocks.reshape(outputs, inputs // _BLOCK, positions), divided.shape)
    divided[within] = read_bits(reader, _BLOCK * int(np.count_nonzero(blocks)))
    return divided.reshape(-1)


def _divided(cube: Mask) -> Mask:
    """Return a cube as outputs, blocks of inputs, inputs of a block, positions."""
    outputs, inputs, positions = cube.shape
    return cube.reshape(outputs, inputs // _BLOCK, _BLOCK, positions)


def _spread(blocks: Mask, shape: tuple[int, ...]) -> Mask:
    return np.asarray(np.broadcast_to(blocks[:, :, None], shape))


def _cube(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return output channels, input channels and positions of a tensor of this shape."""
    outputs, inputs, *positions = (*shape, 1, 1)[: max(len(shape), 2)]
    return outputs, inputs, prod(positions)


def _density_classes(cube: Mask, axis: int) -> Array:
    """Return the class, 0 .. 8, of each slice along an axis."""
    others = tuple(other for other in range(_AXES) if other != axis)
    kept = np.count_nonzero(cube, axis=others)
    octaves = _octaves(kept, cube.size // max(len(kept), 1)) - _octaves(kept.sum(), cube.size)
    classes: Array = np.clip(np.rint(octaves) + _CLASSES // 2, 0, _CLASSES - 1).astype(np.int64)
    return classes


def _octaves(kept: Array, size: int) -> Array:
    """Return the odds of being kept as powers of two."""
    return np.asarray(np.log2((kept + 0.5) / (size - kept + 0.5)))


def _blocks(classes: list[Array], divided: Array) -> Iterator[tuple[slice, ...]]:
    """Yield the blocks of a cube whose divided axes are sorted by class."""
    spans = []
    for part, yes in zip(classes, divided, strict=True):
        lengths = np.bincount(part) if yes else [len(part)]
        ends = np.cumsum([0, *lengths]).tolist()
        spans.append([slice(start, end) for start, end in pairwise(ends) if end > start])
    yield from product(*spans)


def _shortest_choice(cube: Mask, classes: list[Array]) -> int:
    """Return which axes to divide, as an index into the choices."""
    members = [np.equal.outer(np.arange(_CLASSES), part).astype(np.float32) for part in classes]
    slices = [part.sum(1, dtype=np.float64) for part in members]
    kept = _kept_by_class(cube, members)
    size = np.einsum("a,b,c->abc", *slices)
    lengths = []
    for divided in _CHOICES:
        whole = tuple(np.flatnonzero(~divided))
        blocks, ones = size.sum(whole), kept.sum(whole)
        length = _BITS_PER_BLOCK * np.count_nonzero(blocks)
        length += np.sum(surprise(ones, blocks) + surprise(blocks - ones, blocks))
        for axis in np.flatnonzero(divided):
            length += _BITS_PER_MAP + np.sum(surprise(slices[axis], slices[axis].sum()))
        lengths.append(length)
    return int(np.argmin(lengths))


def _kept_by_class(cube: Mask, members: list[Array]) -> Array:
    """Return how many weights each block keeps when all axes are divided, float64 (9, 9, 9)."""
    outputs, inputs, positions = cube.shape
    kept = members[0] @ cube.reshape(outputs, inputs * positions)
    kept = np.einsum("aip,bi->abp", kept.reshape(_CLASSES, inputs, positions), members[1], optimize=True)
    return np.asarray(kept @ members[2].T, dtype=np.float64)


def surprise(part: Array, whole: Array | float) -> Array:
    """Return the bits that `part` symbols of a kind take among `whole` symbols, element by element."""
    counts = np.maximum(part, 0)
    return np.asarray(counts * np.log2(np.maximum(whole, 1) / np.maximum(counts, 1)))
