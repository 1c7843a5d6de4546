"""How a program runs on some images at a time: regions, places, memory, and the table of operations.

A network's first stages have large values and few weights; its last ones small values and many weights. The
first are fast when few images are cut into many parts, since their values then stay in the second cache; the
last when many images lie side by side, since each weight is then used for all of them. So a plan cuts the
program into regions. A region does its steps for some images, then for the next ones, until it has done the
whole chunk; then the next region begins, with another grid. A small model of the costs chooses the cuts and
the grids.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeAlias

import numpy as np

from winninghand.engine import kernels
from winninghand.engine.layout import Floats, Grid, Longs, Place, moves, window_counts
from winninghand.engine.packing import Ints, Packed, Shape, Tiling, pack, tiling
from winninghand.engine.program import (
    Activation,
    Affine,
    ChannelNorm,
    Channels,
    Combine,
    Concatenate,
    Convolution,
    Pointwise,
    Pool,
    Program,
    Step,
    sources_of,
)
from winninghand.engine.vectors import BYTES, LANES

Spot: TypeAlias = tuple[int, int, int]
"""Address, pitch and plane of a value's first number."""
Shares: TypeAlias = Iterable[tuple[int, int]]
Take: TypeAlias = Callable[[int], int]

_CODES = {
    "leaky_relu": 0,
    "hardsigmoid": 1,
    "hardswish": 2,
    "sigmoid": 3,
    "silu": 4,
    "tanh": 5,
    "gelu": 6,
    "gelu_tanh": 7,
}
_SECOND_CACHE = 1_200_000
"""Bytes of values that a step can read and write at full speed."""


@dataclass(frozen=True)
class Region:
    """Steps `first` to `last` (not included), done with one grid, and how the values lie in it."""

    first: int
    last: int
    grid: Grid
    places: dict[int, Place]


@dataclass(eq=False)
class Plan:
    """A program for a chunk of images: one table of operations for each thread of the team."""

    images: int
    regions: list[Region]
    cycles: float
    """What the model says."""
    tables: list[Longs]
    counter: Longs
    """Where the team's threads meet; 0 at the start."""
    kept: list[object] = field(repr=False)
    """Arrays whose addresses are in the tables."""


def planned(program: Program, images: int, threads: int, weights: Weights) -> Plan:
    """Return the plan for a chunk of images, a power of two up to `LANES`, with a team of threads."""
    regions, cycles = _regions(program, images)
    return _Builder(program, images, threads, weights, regions, cycles).build()


class Weights:
    """The packed weights of a program's convolutions: packed once for each way in which sources lie."""

    def __init__(self, program: Program) -> None:
        self.shapes = {
            step.output: shape_of(step) for step in program.steps if isinstance(step, Convolution)
        }
        self._packed: dict[tuple[int, int, int, int], Packed] = {}
        self._vectors: dict[int, tuple[Floats, Floats]] = {}

    def packed(self, step: Convolution, source: Place, tiles: Tiling) -> Packed:
        """Return a convolution's non-zero weights for a source that lies so."""
        key = (step.output, source.plane, source.pitch, tiles.block)
        if key not in self._packed:
            shape = self.shapes[step.output]
            self._packed[key] = pack(step.weight.numpy(), shape, source, tiles.block)
        return self._packed[key]

    def vectors(self, step: Convolution | Affine | ChannelNorm) -> tuple[Floats, Floats]:
        """Return the scales and biases of a step that has one set of them, a vector for each channel."""
        if step.output not in self._vectors:
            self._vectors[step.output] = (_spread(step.scales[0].numpy()), _spread(step.biases[0].numpy()))
        return self._vectors[step.output]


def shape_of(step: Convolution) -> Shape:
    """Return what of a convolution matters for its speed."""
    outputs, inputs, high, wide = step.weight.shape
    return Shape(
        outputs,
        inputs * step.groups,
        step.groups,
        (high, wide),
        step.stride,
        step.dilation,
        int(step.weight.count_nonzero()),
    )


def _spread(numbers: Floats) -> Floats:
    return _at_cache_line(np.repeat(numbers[:, None], LANES, axis=1))


def aligned(size: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Return bytes, all 0, that begin at a cache line, with room around them."""
    raw = np.zeros(size + 256, np.uint8)
    start = 64 + -raw.ctypes.data % 64
    return raw[start : start + size]


def _at_cache_line(array: Floats) -> Floats:
    copied = aligned(4 * array.size).view(np.float32).reshape(array.shape)
    copied[:] = array
    return copied


@cache
def _border_table(place: Place, grid: Grid) -> tuple[Longs, Floats] | None:
    """Return what `border` reads, int64 (moves, 3): where to write, where to read, and the mask's address."""
    offsets, masks = moves(place, grid)
    if not len(offsets):
        return None
    unique, which = np.unique(masks, axis=0, return_inverse=True)
    lanes = _at_cache_line(unique)
    return np.column_stack([offsets, lanes.ctypes.data + which.reshape(-1) * BYTES]), lanes


# Choosing regions


def _regions(program: Program, images: int) -> tuple[list[Region], float]:
    """Return the cheapest way to cut a program into regions, and its cycles for all images."""
    steps = len(program.steps)
    cuts = [i for i in range(steps) if i == 0 or len(_live(program, i)) == 1]
    for possible in (cuts, list(range(steps))):
        found = _cheapest(program, images, [*possible, steps])
        if found is not None:
            return found
    raise AssertionError("each step can run in a region of its own")


def _cheapest(program: Program, images: int, cuts: Sequence[int]) -> tuple[list[Region], float] | None:
    best: dict[int, tuple[float, list[Region]]] = {0: (0.0, [])}
    shapes = {
        step.output: shape_of(step) for step in program.steps if isinstance(step, Convolution)
    }
    for start in cuts[:-1]:
        if start not in best:
            continue
        before, regions = best[start]
        for grid, places in _beginnings(program, start, images):
            cycles = sum(_transfer(places[number]) for number in places)
            for index in range(start, len(program.steps)):
                step = program.steps[index]
                place = _placed(step, program, places, grid)
                if place is None:
                    break
                places[step.output] = place
                cycles += _cycles(step, places, shapes.get(step.output))
                if index + 1 in cuts:
                    out = sum(_transfer(places[number]) for number in _live(program, index + 1) if number in places)
                    total = before + images // grid.images * (cycles + out)
                    if index + 1 not in best or total < best[index + 1][0]:
                        best[index + 1] = (total, [*regions, Region(start, index + 1, grid, dict(places))])
    if cuts[-1] not in best:
        return None
    cycles, regions = best[cuts[-1]]
    return [_with_borders(program, region) for region in regions], cycles


@cache
def _live(program: Program, index: int) -> tuple[int, ...]:
    """Return the values that are there before a step and used by it or after it."""
    made = [0, *(step.output for step in program.steps[:index])]
    return tuple(number for number in made if program.last_uses.get(number, -1) >= index)


def _beginnings(program: Program, start: int, images: int) -> Iterator[tuple[Grid, dict[int, Place]]]:
    """Yield grids that a region could have, with the places of the values that are there at its start."""
    shapes = {number: program.shapes[number] for number in _live(program, start)}
    powers = [2**power for power in range(LANES.bit_length())]
    for group, rows, columns in itertools.product(powers, powers, powers):
        if group > images or group * rows * columns > LANES or max(rows, columns) > 4 * min(rows, columns):
            continue
        grid = Grid(group, rows, columns)
        seen = set()
        for multiple in (1, 2, 4, 8, 16, 32) if grid.parts > 1 else (1,):
            places = {}
            for number, (channels, height, width) in shapes.items():
                if height == width == 1 and grid.parts > 1:
                    places[number] = Place(channels, 1, 1, 1, 1, repeated=True)
                    continue
                part = [size if n == 1 else math.ceil(size / n / multiple) * multiple for size, n in ((height, rows), (width, columns))]
                places[number] = Place(channels, height, width, part[0], part[1])
            if (key := tuple(places.values())) not in seen and all(
                place.repeated or place.rows * place.columns * grid.parts < 4 * place.height * place.width + 4
                for place in places.values()
            ):
                seen.add(key)
                yield grid, places


def _placed(step: Step, program: Program, places: dict[int, Place], grid: Grid) -> Place | None:
    """Return how a step's output lies, without a border; None where the step cannot run with this grid."""
    channels, height, width = program.shapes[step.output]
    sources = [places[number] for number in sources_of(step)]
    source = sources[0]
    if isinstance(step, Convolution | Pool):
        kernel = tuple(step.weight.shape[2:]) if isinstance(step, Convolution) else step.kernel
        if source.repeated:
            simple = height == width == 1 and kernel == (1, 1) and step.padding == (0, 0)
            return Place(channels, 1, 1, 1, 1, repeated=True) if simple else None
        if grid.parts > 1 and height == width == 1:
            return Place(channels, 1, 1, 1, 1, repeated=True) if _is_reduction(step, program) else None
        part = []
        for size, n, step_by, rows in (
            (height, grid.rows, step.stride[0], source.rows),
            (width, grid.columns, step.stride[1], source.columns),
        ):
            if n > 1 and (rows % step_by or rows // step_by * n < size):
                return None
            part.append(size if n == 1 else rows // step_by)
        return Place(channels, height, width, part[0], part[1])
    return replace(source, channels=channels)


def _is_reduction(step: Step, program: Program) -> bool:
    return (
        isinstance(step, Pool)
        and step.kernel == program.shapes[step.source][1:]
        and step.padding == (0, 0)
        and program.shapes[step.output][1:] == (1, 1)
    )


def _with_borders(program: Program, region: Region) -> Region:
    """Return the region with the borders that its convolutions and poolings need."""
    places = dict(region.places)
    for step in program.steps[region.first : region.last]:
        if not isinstance(step, Convolution | Pool) or _is_reduction(step, program):
            continue
        kernel = step.weight.shape[2:] if isinstance(step, Convolution) else step.kernel
        dilation = step.dilation if isinstance(step, Convolution) else (1, 1)
        source, output = places[step.source], places[step.output]
        sides = []
        for axis, (part, made) in enumerate(((source.rows, output.rows), (source.columns, output.columns))):
            last = step.stride[axis] * (made - 1) - step.padding[axis] + dilation[axis] * (kernel[axis] - 1)
            sides.append((max(0, step.padding[axis]), max(0, last - part + 1)))
        places[step.source] = replace(
            source,
            above=max(source.above, sides[0][0]),
            below=max(source.below, sides[0][1]),
            left=max(source.left, sides[1][0]),
            right=max(source.right, sides[1][1]),
        )
    return replace(region, places=places)


def _transfer(place: Place) -> float:
    """Return the cycles to bring a value into lanes or out of them."""
    return 2.0 * place.channels * place.rows * place.columns * LANES


def _cycles(step: Step, places: dict[int, Place], shape: Shape | None) -> float:
    """Return the cycles of one step, for all images of the grid."""
    output = places[step.output]
    vectors = output.channels * output.rows * output.columns
    moved = BYTES * vectors
    for number in sources_of(step):
        place = places[number]
        moved += BYTES * place.channels * (place.rows + 2) * (place.columns + 2)
    memory = moved / 40 if moved < _SECOND_CACHE else moved / 9
    # The borders: written around each output.
    border = output.channels * 2 * (output.rows + output.columns + 2) * 2
    if shape is None:
        return memory + 2.0 * vectors + border
    tiles = tiling(shape, output.rows, output.columns)
    stream = 8 * shape.weights * math.ceil(output.rows / tiles.rows) * math.ceil(output.columns / tiles.columns)
    return tiles.cycles + memory + border + stream / (40 if 8 * shape.weights < _SECOND_CACHE else 12)


# Writing the table


class _Memory:
    """Hands out bytes of a workspace that does not exist yet: the first gap that is large enough."""

    def __init__(self) -> None:
        self.size = 0
        self._taken: list[tuple[int, int]] = []

    def take(self, size: int) -> int:
        size = -(-size // 64) * 64 + 64
        start = 0
        for begin, end in self._taken:
            if begin - start >= size:
                break
            start = end
        self._taken.append((start, start + size))
        self._taken.sort()
        self.size = max(self.size, start + size)
        return start

    def free(self, start: int) -> None:
        self._taken = [one for one in self._taken if one[0] != start]


@dataclass
class _Builder:
    """Writes the tables of one plan. Addresses in the workspace are offsets until the workspace exists."""

    program: Program
    images: int
    threads: int
    weights: Weights
    regions: list[Region]
    cycles: float

    def build(self) -> Plan:
        """Write the rows twice: with offsets only, to learn how much memory there must be; then with addresses."""
        self.kept: dict[int, object] = {}
        self.counter = np.zeros(8, np.int64)
        self.borders = [
            {number: self._border_table(place, region.grid) for number, place in region.places.items()}
            for region in self.regions
        ]
        self.shared: dict[int, list[tuple[int, int]]] = {}
        self.entries: dict[tuple[int, int], Ints] = {}
        self.factors: dict[int, Floats] = {}
        parcels = self._parcels()
        self.scratch_size = self._scratch()
        self.scratch = sum(parcels.values())
        start = self.scratch + self.scratch_size * self.threads
        memory = self._write(0, start, parcels)
        workspace = aligned(start + memory.size)
        self._write(self._constant(workspace), start, parcels)
        tables = []
        for rows in self.rows:
            table = np.zeros((len(rows), kernels.COLUMNS), np.int64)
            for index, row in enumerate(rows):
                table[index, : len(row)] = row
            tables.append(table)
        return Plan(self.images, self.regions, self.cycles, tables, self.counter, [*self.kept.values()])

    def _parcels(self) -> dict[int, int]:
        """Return the bytes of the values that go from one region to another, one image after the other."""
        found = {}
        for region in self.regions[:-1]:
            for number in _live(self.program, region.last):
                if number != 0:
                    found[number] = -(-4 * self.images * math.prod(self.program.shapes[number]) // 64) * 64
        return found

    def _scratch(self) -> int:
        """Return the bytes of the sums that one thread keeps between blocks."""
        sizes = [64]
        for region in self.regions:
            for step in self._steps(region):
                if isinstance(step, Convolution):
                    tiles = self._tiling(step, region)
                    sizes.append(self.weights.shapes[step.output].outputs * tiles.rows * tiles.columns * BYTES)
        return max(sizes)

    def _steps(self, region: Region) -> tuple[Step, ...]:
        return self.program.steps[region.first : region.last]

    def _tiling(self, step: Convolution, region: Region) -> Tiling:
        place = region.places[step.output]
        return tiling(self.weights.shapes[step.output], place.rows, place.columns)

    def _write(self, workspace: int, start: int, parcels: dict[int, int]) -> _Memory:
        """Write all rows for a workspace at this address, whose values begin at `start`."""
        self.rows: list[list[list[int]]] = [[] for _ in range(self.threads)]
        self.meetings, self.workspace, self.base = 0, workspace, workspace + start
        offsets = itertools.accumulate(parcels.values(), initial=workspace)
        self.parcel_of = dict(zip(parcels, offsets, strict=False))
        memory = _Memory()
        for region, borders in zip(self.regions, self.borders, strict=True):
            for image in range(0, self.images, region.grid.images):
                self._pass(region, image, memory, borders)
        return memory

    def _pass(self, region: Region, image: int, memory: _Memory, borders: dict[int, tuple[int, int]]) -> None:
        """Write a region's operations for the images from `image` on."""
        places, grid, program = region.places, region.grid, self.program
        at: dict[int, int] = {}
        taken: list[int] = []

        def take(size: int) -> int:
            taken.append(memory.take(size))
            return taken[-1]

        self.norms: dict[int, tuple[int, int]] = {}
        for step in self._steps(region):
            if isinstance(step, Convolution | Affine | ChannelNorm):
                self.norms[step.output] = self._norms(step, grid, image, take)
        for number in _live(program, region.first):
            at[number] = take(places[number].size)
            self._gather(number, region, image, at[number], borders[number])
        self._meet()
        later = set(_live(program, region.last)) if region.last < len(program.steps) else {program.output}
        for index in range(region.first, region.last):
            step = program.steps[index]
            at[step.output] = take(places[step.output].size)
            self._step(step, region, at, borders[step.output])
            if step.output in later:
                self._scatter(step.output, region, image, at[step.output])
            self._meet()
            for number in {*sources_of(step), step.output}:
                if program.last_uses.get(number, -1) <= index and number in at and number not in later:
                    memory.free(at.pop(number))
        for start in taken:
            memory.free(start)

    # Single operations

    def _add(self, thread: int, *numbers: int) -> None:
        self.rows[thread].append([int(number) for number in numbers])

    def _meet(self) -> None:
        if self.threads > 1:
            self.meetings += 1
            for thread in range(self.threads):
                self._add(thread, kernels.MEET, self.counter.ctypes.data, self.meetings * self.threads)

    def _shares(self, number: int) -> list[tuple[int, int]]:
        """Return the channels of a value that each thread makes, about the same work for each."""
        if number not in self.shared:
            work = np.ones(self.program.shapes[number][0])
            step = next((step for step in self.program.convolutions if step.output == number), None)
            if step is not None:
                work = step.weight.flatten(1).count_nonzero(1).numpy() + 4.0
            shares = work.sum() / self.threads * np.arange(1, self.threads)
            ends = np.minimum(np.searchsorted(np.cumsum(work), shares) + 1, len(work))
            self.shared[number] = [*itertools.pairwise([0, *(int(end) for end in ends), len(work)])]
        return self.shared[number]

    def _constant(self, array: np.ndarray) -> int:
        """Return the address of an array that is to live as long as the plan."""
        self.kept[id(array)] = array
        return int(array.ctypes.data)

    def _norms(self, step: Convolution | Affine | ChannelNorm, grid: Grid, image: int, take: Take) -> tuple[int, int]:
        """Return where a step's scales and biases are as vectors; of several cards, write them there first."""
        if len(step.scales) == len(step.biases) == 1:
            scales, biases = self.weights.vectors(step)
            return self._constant(scales), self._constant(biases)
        addresses = []
        for rows in (step.scales, step.biases):
            rows = rows.expand(self.program.cards, -1).contiguous()
            source, channels = self._constant(rows.numpy()), rows.shape[1]
            addresses.append(self.base + take(channels * BYTES))
            for thread, (first, last) in enumerate(self._shares(step.output)):
                self._add(
                    thread, kernels.NUMBERS, source, channels, addresses[-1], first, last, image, grid.images, grid.parts
                )
        return addresses[0], addresses[1]

    def _border_table(self, place: Place, grid: Grid) -> tuple[int, int]:
        """Return the address and length of what `border` reads."""
        table = _border_table(replace(place, channels=1), grid)
        return (0, 0) if table is None else (self._constant(table[0]), len(table[0]))

    def _border(self, number: int, region: Region, start: int, table: tuple[int, int], shares: Shares) -> None:
        if not table[1]:
            return
        pooled = [
            step
            for step in self._steps(region)
            if number in sources_of(step) and isinstance(step, Convolution | Pool)
        ]
        fill = -math.inf if pooled and all(_is_maximum(step) for step in pooled) else 0.0
        plane = region.places[number].plane
        for thread, (first, last) in enumerate(shares):
            self._add(thread, kernels.BORDER, self.base + start, plane, first, last, *table, bits(fill))

    def _gather(self, number: int, region: Region, image: int, start: int, border: tuple[int, int]) -> None:
        place, grid = region.places[number], region.grid
        stride = 4 * math.prod(self.program.shapes[number])
        source = image * stride + (0 if number == 0 else self.parcel_of[number])
        for thread, (first, last) in enumerate(self._shares(number)):
            self._add(
                thread, kernels.GATHER, source, number == 0, stride, place.height, place.width,
                self.base + start + place.corner, place.pitch, place.plane, first, last,
                grid.images, grid.rows, grid.columns, place.rows, place.columns, place.repeated,
            )  # fmt: skip
        self._border(number, region, start, border, self._shares(number))

    def _scatter(self, number: int, region: Region, image: int, start: int) -> None:
        place, grid = region.places[number], region.grid
        stride = 4 * math.prod(self.program.shapes[number])
        final = region.last == len(self.program.steps)
        target = image * stride + (0 if final else self.parcel_of[number])
        rows, columns = (1, 1) if place.repeated else (grid.rows, grid.columns)
        for thread, (first, last) in enumerate(self._shares(number)):
            self._add(
                thread, kernels.SCATTER, target, final, stride, place.height, place.width,
                self.base + start + place.corner, place.pitch, place.plane, first, last,
                grid.images, rows, columns, place.rows, place.columns,
            )  # fmt: skip

    def _step(self, step: Step, region: Region, at: dict[int, int], border: tuple[int, int]) -> None:
        """Write one step: its operation, its activation where that needs one of its own, its border."""
        shares = self._shares(step.output)
        low, high, after = _bounds(getattr(step, "activation", None))
        spot = {number: self._spot(number, region, at) for number in {*sources_of(step), step.output}}
        output = region.places[step.output]
        for thread, share in enumerate(shares):
            if isinstance(step, ChannelNorm):
                rows = [round(output.rows * part / self.threads) for part in (thread, thread + 1)]
                share = (rows[0], rows[1])
            self._operation(step, region, spot, thread, share, (bits(low), bits(high)))
            if after is not None:
                extra = (bits(after.slope if after.name == "leaky_relu" else after.low), bits(after.high))
                self._add(
                    thread, kernels.ACTIVATE, _CODES[after.name], output.rows, output.columns, *spot[step.output],
                    *share, *extra,
                )  # fmt: skip
        if isinstance(step, ChannelNorm):
            self._meet()
        self._border(step.output, region, at[step.output], border, shares)

    def _spot(self, number: int, region: Region, at: dict[int, int]) -> tuple[int, int, int]:
        """Return address, pitch and plane of a value's first number."""
        place = region.places[number]
        return self.base + at[number] + place.corner, place.pitch, place.plane

    def _operation(
        self, step: Step, region: Region, spot: dict[int, Spot], thread: int, share: tuple[int, int], bounds: tuple[int, int]
    ) -> None:
        place = region.places[step.output]
        rows, columns, out = place.rows, place.columns, spot[step.output]
        if isinstance(step, Convolution):
            tiles = self._tiling(step, region)
            source, pitch, _ = spot[step.source]
            source -= step.padding[0] * pitch + step.padding[1] * BYTES
            packed = self.weights.packed(step, region.places[step.source], tiles)
            if (step.output, share[0]) not in self.entries:
                self.entries[step.output, share[0]] = packed.of(*share)
            entries = self.entries[step.output, share[0]]
            scratch = self.workspace + self.scratch + thread * self.scratch_size
            addend = (0, 0, 0) if step.addend is None else spot[step.addend]
            self._add(
                thread, kernels.CONVOLVE, tiles.number, rows, columns, tiles.rows, tiles.columns,
                source, step.stride[0] * pitch, step.stride[1] * BYTES, *out, *addend,
                self._constant(entries), len(entries), self._constant(packed.stream), scratch,
                *self.norms[step.output], *bounds,
            )  # fmt: skip
        elif isinstance(step, Pool):
            self._pool(step, region, spot, thread, share)
        elif isinstance(step, Combine):
            right = region.places[step.right]
            single = right.rows == right.columns == 1 and (rows, columns) != (1, 1)
            other = (spot[step.right][0], 0 if single else right.pitch, right.plane, 0 if single else BYTES)
            kind = 0 if step.kind == "add" else 1
            self._add(thread, kernels.COMBINE, kind, rows, columns, *spot[step.left], *other, *out, *share, *bounds)
        elif isinstance(step, Affine):
            norms = self.norms[step.output]
            self._add(thread, kernels.AFFINE, rows, columns, *spot[step.source], *out, *share, *norms, *bounds)
        elif isinstance(step, ChannelNorm):
            norms = self.norms[step.output]
            self._add(
                thread, kernels.NORM, *share, columns, place.channels, *spot[step.source], *out, *norms, bits(step.epsilon)
            )
        else:
            self._copies(step, region, spot, thread, share)
        if isinstance(step, Pointwise) and bounds != (bits(-math.inf), bits(math.inf)):
            self._add(thread, kernels.ACTIVATE, 8, rows, columns, *out, *share, *bounds)

    def _copies(
        self, step: Pointwise | Concatenate | Channels, region: Region, spot: dict[int, Spot], thread: int, share: tuple[int, int]
    ) -> None:
        """Write the copies of channels that make a concatenation, a split or a shuffle."""
        place = region.places[step.output]
        if isinstance(step, Concatenate):
            origins = [
                (number, channel)
                for number in step.sources
                for channel in range(self.program.shapes[number][0])
            ]
        elif isinstance(step, Channels):
            origins = [(step.source, channel) for channel in step.indices]
        else:
            origins = [(step.source, channel) for channel in range(place.channels)]
        table = self._constant(np.array([channel for _, channel in origins], np.int64))
        for number, run in itertools.groupby(range(*share), key=lambda channel: origins[channel][0]):
            channels = list(run)
            self._add(
                thread, kernels.COPY, place.rows, place.columns, *spot[number], *spot[step.output],
                channels[0], channels[-1] + 1, table,
            )  # fmt: skip

    def _pool(self, step: Pool, region: Region, spot: dict[int, Spot], thread: int, share: tuple[int, int]) -> None:
        place, source = region.places[step.output], region.places[step.source]
        kind, grid = 0 if step.kind == "max" else 1, region.grid
        start, pitch, plane = spot[step.source]
        if _is_reduction(step, self.program):
            parts = 1 if source.repeated else grid.parts
            factor = bits(1.0 / (source.height * source.width))
            self._add(
                thread, kernels.REDUCE, kind, source.rows, source.columns, grid.images, parts, start, pitch, plane,
                spot[step.output][0], place.plane, *share, factor,
            )  # fmt: skip
            return
        start -= step.padding[0] * pitch + step.padding[1] * BYTES
        if step.output not in self.factors:
            counts = window_counts(place, grid, source, step.kernel, step.stride, step.padding)
            if step.counts_padding:
                counts = np.full_like(counts, math.prod(step.kernel))
            self.factors[step.output] = _at_cache_line(1.0 / counts)
        self._add(
            thread, kernels.POOL, kind, place.rows, place.columns, *step.kernel, start, pitch, plane,
            step.stride[0] * pitch, step.stride[1] * BYTES, *spot[step.output], *share, self._constant(self.factors[step.output]),
        )  # fmt: skip


def bits(number: float) -> int:
    """Return the bits of a float32, as a table holds them."""
    return int(np.float32(number).view(np.int32))


def _is_maximum(step: Step) -> bool:
    return isinstance(step, Pool) and step.kind == "max"


def _bounds(activation: Activation | None) -> tuple[float, float, Activation | None]:
    """Return the bounds that an activation puts on numbers, and what is left to do where it does more."""
    if activation is None:
        return -math.inf, math.inf, None
    if activation.name == "relu":
        return 0.0, math.inf, None
    if activation.name == "clamp":
        return activation.low, activation.high, None
    return -math.inf, math.inf, activation
