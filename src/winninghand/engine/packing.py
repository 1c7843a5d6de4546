"""The non-zero weights of a convolution, as the kernel uses them; in one file for all kinds of numbers."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from winninghand.engine.layout import Floats, Place
from winninghand.engine.program import Affine, ChannelNorm, Convolution, Program
from winninghand.engine.quantizing import ByteConvolution, is_binary
from winninghand.engine.tiles import TILES
from winninghand.engine.vectors import BYTES, DOTS_OF_BYTES, LANES, REGISTERS

Ints: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.int32]]"


@dataclass(frozen=True)
class Shape:
    """What of a convolution matters for its speed, apart from where its weights lie."""

    outputs: int
    inputs: int
    groups: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    weights: int
    """That are not zero."""
    packed: int = 1
    """How the source is: see `Place`."""

    @property
    def stream(self) -> int:
        """Bytes of the weights' stream."""
        return (4 if self.packed == 2 else 8) * self.weights


MOST_WORDS = 257
"""So many numbers of 0 .. 255 add up to less than 2 to 16."""


@dataclass(frozen=True)
class Tiling:
    """The tile of a convolution, how many input channels are a block, and what that costs in cycles."""

    number: int
    """Among `TILES`."""
    rows: int
    columns: int
    block: int
    cycles: float


@dataclass(frozen=True, eq=False)
class Packed:
    """Weights and entries of one convolution in one place of its source.

    `stream` is int32 (weights, 2): the offset of a weight's input in bytes, and the bits of the float32.
    `entries` is int32 (entries, 4), by block of input channels and then by output channel: the output
    channel, flags (1 for its first entry, 2 for its last), its first weight in the stream, and how many.

    Of 16-bit numbers `stream` is int32 (weights,), the offsets alone: in each entry the weights of plus, then
    those of minus. An entry's last two numbers are how many of each; its flags are in `pack_words`.
    """

    stream: Ints
    entries: Ints

    def of(self, first: int, last: int) -> Ints:
        """Return the entries of some output channels."""
        channels = self.entries[:, 0]
        return np.ascontiguousarray(self.entries[(channels >= first) & (channels < last)])


@cache
def first_cache() -> int:
    """Return the bytes of a core's first data cache; 32 KB where the system does not tell."""
    for index in range(4):
        folder = Path(f"/sys/devices/system/cpu/cpu0/cache/index{index}")
        try:
            if (folder / "level").read_text().strip() == "1" and "Data" in (folder / "type").read_text():
                return int((folder / "size").read_text().strip().rstrip("K")) * 1024
        except (OSError, ValueError):
            break
    return 32 * 1024


@lru_cache(4096)
def tiling(shape: Shape, rows: int, columns: int) -> Tiling:
    """Choose tile and block for an output of so many rows and columns, by a small model of the costs.

    A weight costs a multiply-add per vector of the tile, two a cycle, or three loads a cycle; an entry a
    loop whose end the processor guesses wrong, and its sums the way to memory and back. What a tile sees of
    a block comes from the second cache once, and again and again where it does not fit the first. The
    numbers were fitted to 15 layers, with all tiles and blocks; what is chosen is within 7% of the best.
    Entries of 16-bit numbers have two loops, and their operands come from the second cache more often, since
    there are more of them. Of whole numbers each sum is turned into a level in the end.
    """
    best: Tiling | None = None
    entry, slower = (30, 1.07) if shape.packed == 2 else (16, 1.0)
    finish = 0 if shape.packed == 1 else 8
    for number, (high, wide, step) in enumerate(TILES):
        if wide > 1 and step != shape.stride[1]:
            continue
        if high > rows or wide > columns or high * wide > REGISTERS // 2:
            continue
        vectors = high * wide
        tiles = math.ceil(rows / high) * math.ceil(columns / wide)
        weight = slower * max(vectors / 2, (vectors + 2) / 3) + 0.4
        seen = BYTES * math.prod(
            (tile - 1) * by + (size - 1) * apart + 1
            for tile, by, size, apart in zip(
                (high, wide), shape.stride, shape.kernel, shape.dilation, strict=True
            )
        )
        per_group = shape.inputs // shape.groups
        for block in _blocks(shape.inputs):
            blocks = math.ceil(per_group / block)
            entries = min(shape.outputs * blocks, max(shape.weights, shape.outputs))
            held = min(block, shape.inputs) * seen
            missed = min(1.0, max(0.0, (held / first_cache() - 0.96) / 0.68))
            crowded = held + shape.outputs * vectors * BYTES > 0.8 * first_cache()
            sums = (1.6 if crowded else 1.0) * vectors * (entries - shape.outputs)
            fetched = math.ceil(shape.inputs / block) * held / BYTES
            cycles = entry * entries + sums + shape.weights * (weight + 0.52 * missed * vectors) + fetched
            cycles += finish * shape.outputs * vectors
            cycles *= tiles
            if best is None or cycles < best.cycles:
                best = Tiling(number, high, wide, block, cycles)
    assert best is not None
    return best


def _blocks(inputs: int) -> list[int]:
    """Return sizes of blocks to try: a tenth of a power of two apart is close enough."""
    sizes = [4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256, 512]
    return [size for size in sizes if size < inputs] + [inputs]


def bits_of(step: Convolution) -> Ints:
    """Return a convolution's weights as the stream has them, int32 (out, in, height, width); 0 for a zero.

    They are the bits of a float32, or of four int8 of consecutive input channels.
    """
    if not isinstance(step, ByteConvolution):
        floats: Floats = step.weight.numpy() + np.float32(0)  # a negative zero becomes a zero
        return floats.view(np.int32)
    outputs, inputs, *kernel = step.whole.shape
    levels = np.zeros((outputs, *kernel, -(-inputs // 4) * 4), np.int8)
    levels[..., :inputs] = step.whole.numpy().transpose(0, 2, 3, 1)
    return levels.view(np.int32).transpose(0, 3, 1, 2)


def pack(weight: Ints, shape: Shape, source: Place, block: int) -> Packed:
    """Sort the weights that are not zero by block, output channel, input channel, row and column."""
    output, channel, row, column = np.nonzero(weight)
    values = weight[output, channel, row, column]
    channel = channel + output // (shape.outputs // shape.groups) * (shape.inputs // shape.groups)
    order = np.lexsort((output, channel // block))  # stable: the rest keeps its order
    output, channel, row, column = output[order], channel[order], row[order], column[order]
    offsets = channel * source.plane
    offsets += row * (shape.dilation[0] * source.pitch) + column * (shape.dilation[1] * BYTES)
    stream = aligned(8 * max(len(order), 1)).view(np.int32).reshape(-1, 2)
    stream[: len(order), 0] = offsets
    stream[: len(order), 1] = values[order]

    key = channel // block * shape.outputs + output
    first = np.flatnonzero(np.diff(key, prepend=-1))
    count = np.diff(first, append=len(key))
    entries = np.zeros((len(first), 4), np.int32)
    entries[:, 0], entries[:, 2], entries[:, 3] = output[first], first, count
    _, at = np.unique(entries[:, 0], return_index=True)
    entries[at, 1] |= 1
    _, at = np.unique(entries[::-1, 0], return_index=True)
    entries[len(entries) - 1 - at, 1] |= 2
    empty = np.setdiff1d(np.arange(shape.outputs), entries[:, 0])
    alone = np.zeros((len(empty), 4), np.int32)
    alone[:, 0], alone[:, 1] = empty, 3
    return Packed(stream, np.concatenate([entries, alone]))


def pack_words(signs: np.ndarray[Any, Any], shape: Shape, source: Place, block: int) -> Packed:
    """Sort the ±1 among int8 (out, in, height, width) by block and output channel, plus before minus.

    In a block output channels come by their numbers of weights: the processor guesses better where loops end.
    Sums are kept in 16 bits, without a sign. They begin at 255 for each minus that comes, so they never fall
    below 0, and what they pass through does not matter: after `MOST_WORDS` weights they are still exact. An
    output channel with more has several runs. Flags of an entry, besides 1 for the first run of its output
    channel and 2 for the last: 4 where it begins a run, 8 where it ends one; and the number at which the run
    begins, in the upper 16 bits.
    """
    output, channel, row, column = np.nonzero(signs)
    is_minus = signs[output, channel, row, column] < 0
    key = channel // block * shape.outputs + output
    plus, minus = (np.bincount(key[is_minus == sign], minlength=key.max(initial=0) + 1) for sign in (0, 1))
    order = np.lexsort((is_minus, output, minus[key], plus[key], channel // block))
    output, channel, row, column = output[order], channel[order], row[order], column[order]
    offsets = channel * source.plane
    offsets += row * (shape.dilation[0] * source.pitch) + column * (shape.dilation[1] * BYTES)
    stream = aligned(4 * max(len(order), 1)).view(np.int32)
    stream[: len(order)] = offsets

    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    at = key[order][first]
    runs = _Runs(shape.outputs)
    for place in zip(output[first], first, plus[at], minus[at], strict=True):
        runs.add(*map(int, place))
    return Packed(stream, runs.entries())


class _Runs:
    """Entries of 16-bit sums, cut into runs of at most `MOST_WORDS` weights of an output channel."""

    def __init__(self, outputs: int) -> None:
        self._rows: list[list[int]] = []
        self._open: list[list[int]] = [[] for _ in range(outputs)]
        self._runs = [0] * outputs

    def add(self, output: int, first: int, plus: int, minus: int) -> None:
        """Add the weights of one block of input channels, from `first` of the stream on."""
        held = sum(sum(self._rows[place][3:]) for place in self._open[output])
        if held + plus + minus > MOST_WORDS:
            self._close(output)
        while plus + minus > 0:
            taken = min(plus, MOST_WORDS)
            other = min(minus, MOST_WORDS - taken)
            self._open[output].append(len(self._rows))
            self._rows.append([output, 0, first, taken, other])
            first, plus, minus = first + taken + other, plus - taken, minus - other
            if plus + minus > 0:
                self._close(output)

    def _close(self, output: int) -> None:
        """End the run of an output channel."""
        places = self._open[output]
        if not places:
            return
        start = 255 * sum(self._rows[place][4] for place in places)
        for place in places:
            self._rows[place][1] |= start << 16 | (1 if self._runs[output] == 0 else 0)
        self._rows[places[0]][1] |= 4
        self._rows[places[-1]][1] |= 8
        self._runs[output] += 1
        self._open[output] = []

    def entries(self) -> Ints:
        """Return int32 (entries, 5), in the order in which they came."""
        for output, places in enumerate(self._open):
            if not places:  # an output channel without weights
                self._open[output] = [len(self._rows)]
                self._rows.append([output, 0, 0, 0, 0])
            for place in self._open[output]:
                self._rows[place][1] |= 2
            self._close(output)
        return np.array(self._rows, np.int64).astype(np.uint32).view(np.int32)


class _Kept:
    """A weight's bits, int32, without its zeros: a bit for each place says where they are."""

    def __init__(self, bits: Ints) -> None:
        self._shape = bits.shape
        self._places = np.packbits(bits != 0)
        self._values = bits[bits != 0]

    def spread(self) -> Ints:
        """Return them with the zeros."""
        bits = np.zeros(self._shape, np.int32)
        bits[np.unpackbits(self._places, count=bits.size).view(bool).reshape(bits.shape)] = self._values
        return bits


class Weights:
    """The packed weights of a program's convolutions: packed once for each way in which sources lie.

    They are copies: `without_floats` says what is left of the program then.
    """

    def __init__(self, program: Program) -> None:
        self._kept = {
            step.output: _Kept(bits_of(step))
            for step in program.convolutions
            if not isinstance(step, ByteConvolution)
        }
        self.counts = {
            step.output: np.count_nonzero(bits_of(step), axis=(1, 2, 3)) for step in program.convolutions
        }
        """By output of a convolution: how many weights of each of its channels are not zero."""
        self.shapes: dict[tuple[int, int], Shape] = {}
        """By output of a convolution, and how its source may be packed."""
        for step in program.convolutions:
            of_bytes = isinstance(step, ByteConvolution)
            if not of_bytes or DOTS_OF_BYTES:
                packed, count = 4 if of_bytes else 1, int(self.counts[step.output].sum())
                self.shapes[step.output, packed] = shape_of(step, count, packed)
            if of_bytes and is_binary(step):
                self.shapes[step.output, 2] = shape_of(step, int(step.weight.count_nonzero()), 2)
        self._packed: dict[tuple[int, int, int, int, int], Packed] = {}
        self._vectors: dict[int, tuple[Floats, Floats]] = {}
        self._starts: dict[int, Ints] = {}

    def packed(self, step: Convolution, source: Place, tiles: Tiling) -> Packed:
        """Return a convolution's non-zero weights for a source that lies so."""
        key = (step.output, source.packed, source.plane, source.pitch, tiles.block)
        if key not in self._packed:
            shape = self.shapes[step.output, source.packed]
            if source.packed == 2:
                assert isinstance(step, ByteConvolution)
                self._packed[key] = pack_words(step.whole.numpy(), shape, source, tiles.block)
            else:
                kept = self._kept.get(step.output)
                bits = bits_of(step) if kept is None else kept.spread()
                self._packed[key] = pack(bits, shape, source, tiles.block)
        return self._packed[key]

    def starts(self, step: ByteConvolution) -> Ints:
        """Return what takes 255 for each minus from an output channel's sum again, int32 (out, LANES)."""
        if step.output not in self._starts:
            minus = (step.whole < 0).flatten(1).sum(1).numpy().astype(np.int32)
            spread = np.repeat(-255 * minus[:, None], LANES, axis=1)
            self._starts[step.output] = at_cache_line(spread.view(np.float32)).view(np.int32)
        return self._starts[step.output]

    def vectors(self, step: Convolution | Affine | ChannelNorm) -> tuple[Floats, Floats]:
        """Return the scales and biases of a step that has one set of them, a vector for each channel."""
        if step.output not in self._vectors:
            scales, biases = norms_of(step)
            self._vectors[step.output] = (_spread(scales[0]), _spread(biases[0]))
        return self._vectors[step.output]


def without_floats(program: Program) -> Program:
    """Return a copy of a program whose float weights are shapes alone; levels of bytes stay."""
    steps = tuple(
        replace(step, weight=step.weight.to("meta"), levels=None) if isinstance(step, Convolution) else step
        for step in program.steps
    )
    return copy.deepcopy(replace(program, steps=steps))


def norms_of(step: Convolution | Affine | ChannelNorm) -> tuple[Floats, Floats]:
    """Return scales and biases (cards, channels) of a step's sums, in units of what it reads and makes."""
    scales, biases = step.scales.numpy(), step.biases.numpy()
    if isinstance(step, ByteConvolution):
        made = step.output_scale or 1.0
        scales = scales * step.units.numpy() * np.float32(step.source_scale / made)
        biases = biases / np.float32(made)
    return scales, biases


def shape_of(step: Convolution, weights: int, packed: int) -> Shape:
    """Return what of a convolution, of so many weights that are not zero, matters for its speed."""
    outputs, inputs, high, wide = step.weight.shape
    inputs = -(-inputs // 4) if packed == 4 else inputs
    return Shape(
        outputs,
        inputs * step.groups,
        step.groups,
        (high, wide),
        step.stride,
        step.dilation,
        weights,
        packed,
    )


def _spread(numbers: Floats) -> Floats:
    return at_cache_line(np.repeat(numbers[:, None], LANES, axis=1))


def aligned(size: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Return bytes, all 0, that begin at a cache line, with room around them."""
    raw = np.zeros(size + 256, np.uint8)
    start = 64 + -raw.ctypes.data % 64
    return raw[start : start + size]


def at_cache_line(array: Floats) -> Floats:
    """Return a copy that begins at a cache line."""
    copied = aligned(4 * array.size).view(np.float32).reshape(array.shape)
    copied[:] = array
    return copied
