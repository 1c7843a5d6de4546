"""A plan: the table of operations for a chunk of images, in one file, since all its rows share one memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from winninghand.engine import kernels
from winninghand.engine.layout import Floats, Grid, Longs, Place, moves, window_counts
from winninghand.engine.packing import Ints, Tiling, Weights, aligned, at_cache_line, norms_of, tiling
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
from winninghand.engine.quantizing import ByteConvolution, Quantize
from winninghand.engine.regions import Region, is_reduction, live
from winninghand.engine.vectors import BYTES, LANES

Spot: TypeAlias = tuple[int, int, int]
"""Address, pitch and plane of a value's first number."""
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


@dataclass(eq=False)
class Plan:
    """A program for a chunk of images: one table of operations for each thread of the team."""

    images: int
    regions: list[Region]
    tables: list[Longs]
    counter: Longs
    """Where the team's threads meet; 0 at the start."""
    kept: list[object] = field(repr=False)
    """Arrays whose addresses are in the tables."""


def planned(program: Program, images: int, threads: int, regions: list[Region], weights: Weights) -> Plan:
    """Return the plan for a chunk of images, a power of two up to `LANES`, with a team of threads."""
    return _Builder(program, images, threads, weights, regions).build()


@lru_cache(256)
def _border_table(place: Place, grid: Grid) -> tuple[Longs, Floats] | None:
    """Return what `border` reads, int64 (moves, 3): where to write, where to read, and the mask's address."""
    offsets, masks = moves(place, grid)
    if not len(offsets):
        return None
    unique, which = np.unique(masks, axis=0, return_inverse=True)
    ones = np.where(unique, -1, 0).astype(np.int16 if place.packed == 2 else np.int32)
    lanes = at_cache_line(ones.view(np.float32))
    return np.column_stack([offsets, lanes.ctypes.data + which.reshape(-1) * BYTES]), lanes


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
    """Writes the tables of one plan. Addresses in the workspace are offsets until the workspace exists.

    Each thread of a team has all values, with their borders, in memory of its own: it makes its share of the
    channels, and then copies what the others made. Cores take long to hand each other a cache line, and
    borders are most of the lines of a small value: so only what is inside of them goes from core to core.
    """

    program: Program
    images: int
    threads: int
    weights: Weights
    regions: list[Region]

    def build(self) -> Plan:
        """Write the rows twice: with offsets, to learn how much memory there must be; then with addresses."""
        self.kept: dict[int, object] = {}
        self.counter = np.zeros(8, np.int64)
        self.borders = [
            {number: self._border_table(place, region.grid) for number, place in region.places.items()}
            for region in self.regions
        ]
        self.shared: dict[int, list[tuple[int, int]]] = {}
        self.entries: dict[tuple[int, tuple[int, int]], Ints] = {}
        self.factors: dict[int, Floats] = {}
        self.by_rows = {step.output for step in self.program.steps if isinstance(step, ChannelNorm)}
        parcels = self._parcels()
        self.scratch_size = self._scratch()
        self.scratch = sum(parcels.values())
        start = self.scratch + self.scratch_size * self.threads
        self.area = 0
        self.area = self._write(0, start, parcels).size
        workspace = aligned(start + self.area * self.threads)
        self._write(self._constant(workspace), start, parcels)
        tables: list[Longs] = []
        for rows in self.rows:
            table = np.zeros((len(rows), kernels.COLUMNS), np.int64)
            for index, row in enumerate(rows):
                table[index, : len(row)] = row
            tables.append(table)
        return Plan(self.images, self.regions, tables, self.counter, [*self.kept.values()])

    def _parcels(self) -> dict[int, int]:
        """Return the bytes of the values that go from one region to another, one image after the other."""
        found = {}
        for region in self.regions[:-1]:
            for number in live(self.program, region.last):
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
                    sizes.append(len(step.weight) * tiles.rows * tiles.columns * BYTES)
        # Sums of 16 bits are kept beside those of 32 bits, which take twice as much.
        return 3 * max(sizes)

    def _steps(self, region: Region) -> tuple[Step, ...]:
        return self.program.steps[region.first : region.last]

    def _tiling(self, step: Convolution, region: Region) -> Tiling:
        place = region.places[step.output]
        shape = self.weights.shapes[step.output, region.places[step.source].packed]
        return tiling(shape, place.rows, place.columns)

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

        self.norms: dict[int, list[tuple[int, int]]] = {}
        for step in self._steps(region):
            if isinstance(step, Convolution | Affine | ChannelNorm):
                self.norms[step.output] = self._norms(step, grid, image, take)
        for number in live(program, region.first):
            at[number] = take(places[number].size)
            self._gather(number, region, image, at)
        self._meet()
        for number in live(program, region.first):
            self._complete(number, region, region.first, at, borders[number])
        later = set(live(program, region.last)) if region.last < len(program.steps) else {program.output}
        for index in range(region.first, region.last):
            step = program.steps[index]
            at[step.output] = take(places[step.output].size)
            self._step(step, region, at)
            by_rows, goes_on = step.output in self.by_rows, step.output in later
            if goes_on and not by_rows:
                self._scatter(step.output, region, image, at)
            self._meet()
            self._complete(step.output, region, index + 1, at, borders[step.output])
            if goes_on and by_rows:
                self._scatter(step.output, region, image, at)
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
            work = self.weights.counts.get(number, np.zeros(self.program.shapes[number][0])) + 4.0
            shares = work.sum() / self.threads * np.arange(1, self.threads)
            ends = np.searchsorted(np.cumsum(work), shares) + 1
            # Four channels of bytes lie together: one thread makes them.
            ends = np.minimum(-(-ends // 4) * 4, len(work))
            self.shared[number] = [*itertools.pairwise([0, *(int(end) for end in ends), len(work)])]
        return self.shared[number]

    def _constant(self, array: np.ndarray) -> int:
        """Return the address of an array that is to live as long as the plan."""
        self.kept[id(array)] = array
        return int(array.ctypes.data)

    def _norms(
        self, step: Convolution | Affine | ChannelNorm, grid: Grid, image: int, take: Take
    ) -> list[tuple[int, int]]:
        """Return where each thread has a step's scales and biases as vectors.

        Those of several cards are spread over the lanes first: each lane has its own image's.
        """
        if len(step.scales) == len(step.biases) == 1:
            scales, biases = self.weights.vectors(step)
            return [(self._constant(scales), self._constant(biases))] * self.threads
        offsets = []
        for rows in norms_of(step):
            rows = np.ascontiguousarray(
                np.broadcast_to(rows, (self.program.cards, rows.shape[1])), np.float32
            )
            source, channels = self._constant(rows), rows.shape[1]
            sheet = channels * BYTES if grid.lanes > LANES else 0
            offsets.append(take(channels * BYTES + sheet))
            for thread, share in enumerate(self._shares(step.output)):
                first, last = (0, channels) if step.output in self.by_rows else share
                self._add(
                    thread, kernels.NUMBERS, source, channels, self._own(thread) + offsets[-1], first, last,
                    image, grid.images, grid.parts, sheet,
                )  # fmt: skip
        return [
            (self._own(thread) + offsets[0], self._own(thread) + offsets[1]) for thread in range(self.threads)
        ]

    def _border_table(self, place: Place, grid: Grid) -> tuple[int, int]:
        """Return the address and length of what `border` reads."""
        table = _border_table(place if place.sheets > 1 else replace(place, channels=1), grid)
        if table is None:
            return 0, 0
        self._constant(table[1])
        return self._constant(table[0]), len(table[0])

    def _complete(
        self, number: int, region: Region, index: int, at: dict[int, int], border: tuple[int, int]
    ) -> None:
        """Have each thread copy what others made of a value, and write its border, where steps see it."""
        users = [step for step in self.program.steps[index : region.last] if number in sources_of(step)]
        if not users and number not in self.by_rows:
            return
        place = region.places[number]
        table = self._constant(np.arange(place.channels, dtype=np.int64))
        lowest = any(_is_maximum(step) for step in users) and place.packed == 1
        fill = bits(-math.inf if lowest else 0.0)
        for thread in range(self.threads):
            seen = [self._seen(step, number, thread) for step in users] or [(0, place.channels)]
            first, last = min(start for start, _ in seen), max(end for _, end in seen)
            for maker in range(self.threads):
                if maker == thread:
                    continue
                channels, rows = self._made(number, place, maker)
                start, end = _planes((max(first, channels[0]), min(last, channels[1])), place)
                if start >= end or rows[0] == rows[1]:
                    continue
                for sheet in range(place.sheets):
                    origin, pitch, plane = self._spot(number, region, at, maker, sheet)
                    target = self._spot(number, region, at, thread, sheet)[0]
                    down = rows[0] * pitch
                    self._add(
                        thread, kernels.COPY, rows[1] - rows[0], place.columns, origin + down, pitch, plane,
                        target + down, pitch, plane, start, end, table,
                    )  # fmt: skip
            if border[1]:
                value = self._own(thread) + at[number]
                self._add(
                    thread, kernels.BORDER, value, place.plane, *_planes((first, last), place), *border, fill
                )

    def _seen(self, step: Step, number: int, thread: int) -> tuple[int, int]:
        """Return the channels of a value that a thread needs for its share of a step."""
        same = isinstance(step, Affine | Combine | Pointwise | Pool)
        if isinstance(step, Convolution):
            outputs, inputs = step.weight.shape[:2]
            same = number != step.source or (inputs == 1 and outputs == step.groups)
        return self._shares(step.output)[thread] if same else (0, self.program.shapes[number][0])

    def _made(self, number: int, place: Place, thread: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the channels and the rows of a value that a thread makes."""
        if number in self.by_rows:
            rows = [round(place.rows * part / self.threads) for part in (thread, thread + 1)]
            return (0, place.channels), (rows[0], rows[1])
        return self._shares(number)[thread], (0, place.rows)

    def _gather(self, number: int, region: Region, image: int, at: dict[int, int]) -> None:
        place, grid = region.places[number], region.grid
        stride = 4 * math.prod(self.program.shapes[number])
        source = image * stride + (0 if number == 0 else self.parcel_of[number])
        for thread, (first, last) in enumerate(self._shares(number)):
            self._add(
                thread, kernels.GATHER, source, number == 0, stride, place.height, place.width,
                *self._spot(number, region, at, thread), first, last,
                grid.images, grid.rows, grid.columns, place.rows, place.columns, place.repeated,
                place.packed, place.sheet, *self._lanes(place, grid, stride),
            )  # fmt: skip

    def _lanes(self, place: Place, grid: Grid, stride: int) -> tuple[int, int]:
        """Return the address of where lanes begin in images `stride` bytes apart, and how many there are.

        The address is 0 where parts are not whole, or lanes not one after the other.
        """
        whole = (grid.rows * place.rows, grid.columns * place.columns) == (place.height, place.width)
        if place.repeated or place.sheets > 1 or not whole:
            return 0, 0
        rows = np.arange(grid.rows)[:, None, None] * place.rows * place.width
        columns = np.arange(grid.columns)[:, None] * place.columns
        starts = 4 * (rows + columns) + stride * np.arange(grid.images)
        return self._constant(starts.reshape(-1)), starts.size

    def _scatter(self, number: int, region: Region, image: int, at: dict[int, int]) -> None:
        place, grid = region.places[number], region.grid
        stride = 4 * math.prod(self.program.shapes[number])
        final = region.last == len(self.program.steps)
        target = image * stride + (0 if final else self.parcel_of[number])
        rows, columns = (1, 1) if place.repeated else (grid.rows, grid.columns)
        for thread, (first, last) in enumerate(self._shares(number)):
            self._add(
                thread, kernels.SCATTER, target, final, stride, place.height, place.width,
                *self._spot(number, region, at, thread), first, last,
                grid.images, rows, columns, place.rows, place.columns, place.packed, place.sheet,
                *self._lanes(place, grid, stride),
            )  # fmt: skip

    def _step(self, step: Step, region: Region, at: dict[int, int]) -> None:
        """Write one step: each thread's share of its operation, and of an activation of its own."""
        low, high, after = _bounds(getattr(step, "activation", None))
        if isinstance(step, ByteConvolution) and step.output_scale is not None:
            low, high = low / step.output_scale, min(high / step.output_scale, 255.0)
        output = region.places[step.output]
        # What makes or reads 16-bit numbers, or sees all lanes, takes both sheets at once.
        alone = isinstance(step, ByteConvolution | Quantize) or is_reduction(step, self.program)
        sheets = range(1 if alone else output.sheets)
        for (thread, share), sheet in itertools.product(enumerate(self._shares(step.output)), sheets):
            spot = {
                number: self._spot(number, region, at, thread, sheet)
                for number in {*sources_of(step), step.output}
            }
            if step.output in self.by_rows:
                share = self._made(step.output, output, thread)[1]
            self._operation(step, region, spot, thread, share, (bits(low), bits(high)), sheet)
            if after is not None:
                extra = (bits(after.slope if after.name == "leaky_relu" else after.low), bits(after.high))
                self._add(
                    thread, kernels.ACTIVATE, _CODES[after.name], output.rows, output.columns,
                    *spot[step.output], *share, *extra,
                )  # fmt: skip

    def _own(self, thread: int) -> int:
        """Return where a thread's values begin."""
        return self.base + thread * self.area

    def _spot(self, number: int, region: Region, at: dict[int, int], thread: int, sheet: int = 0) -> Spot:
        """Return address, pitch and plane of the first number that a thread has of a value's sheet."""
        place = region.places[number]
        start = self._own(thread) + at[number] + sheet * place.sheet
        return start + place.corner, place.pitch, place.plane

    def _operation(
        self,
        step: Step,
        region: Region,
        spot: dict[int, Spot],
        thread: int,
        share: tuple[int, int],
        bounds: tuple[int, int],
        sheet: int,
    ) -> None:
        place = region.places[step.output]
        rows, columns, out = place.rows, place.columns, spot[step.output]
        if isinstance(step, Convolution | Affine | ChannelNorm):
            apart = sheet * self._norm_sheet(step, region)
            norms = [start + apart for start in self.norms[step.output][thread]]
        if isinstance(step, Convolution):
            tiles = self._tiling(step, region)
            source, pitch, _ = spot[step.source]
            source -= step.padding[0] * pitch + step.padding[1] * BYTES
            packed = self.weights.packed(step, region.places[step.source], tiles)
            if (step.output, share) not in self.entries:
                self.entries[step.output, share] = packed.of(*share)
            entries = self.entries[step.output, share]
            scratch = self.workspace + self.scratch + thread * self.scratch_size
            addend = (0, 0, 0) if step.addend is None else spot[step.addend]
            of_words = region.places[step.source].packed == 2
            self._add(
                thread, kernels.CONVOLVE_WORDS if of_words else kernels.CONVOLVE,
                tiles.number, rows, columns, tiles.rows, tiles.columns,
                source, step.stride[0] * pitch, step.stride[1] * BYTES, *out, *addend,
                self._constant(entries), len(entries), self._constant(packed.stream), scratch,
                *norms, *bounds,
                *(self._words(step, region, scratch, tiles) if of_words else self._bytes(step)),
            )  # fmt: skip
        elif isinstance(step, Quantize):
            self._add(
                thread, kernels.QUANTIZE if place.packed == 4 else kernels.QUANTIZE_WORDS, rows, columns,
                *spot[step.source], *out, *share, bits(1.0 / step.scale), region.places[step.source].sheet,
            )  # fmt: skip
        elif isinstance(step, Pool):
            self._pool(step, region, spot, thread, share, sheet)
        elif isinstance(step, Combine):
            right = region.places[step.right]
            single = right.rows == right.columns == 1 and (rows, columns) != (1, 1)
            other = (spot[step.right][0], 0 if single else right.pitch, right.plane, 0 if single else BYTES)
            kind = 0 if step.kind == "add" else 1
            self._add(
                thread, kernels.COMBINE, kind, rows, columns, *spot[step.left], *other, *out, *share, *bounds
            )
        elif isinstance(step, Affine):
            self._add(
                thread, kernels.AFFINE, rows, columns, *spot[step.source], *out, *share, *norms, *bounds
            )
        elif isinstance(step, ChannelNorm):
            self._add(
                thread, kernels.NORM, *share, columns, place.channels, *spot[step.source], *out, *norms,
                bits(step.epsilon),
            )  # fmt: skip
        else:
            self._copies(step, region, spot, thread, share)
        if isinstance(step, Pointwise) and bounds != (bits(-math.inf), bits(math.inf)):
            self._add(thread, kernels.ACTIVATE, 8, rows, columns, *out, *share, *bounds)

    def _bytes(self, step: Convolution) -> tuple[int, int, int, int]:
        """Return whether a convolution's weights, output and addend are bytes, and the addend's factor."""
        if not isinstance(step, ByteConvolution):
            return 0, 0, 0, 0
        factor = (step.addend_scale or 1.0) / (step.output_scale or 1.0)
        return 1, step.output_scale is not None, step.addend_scale is not None, bits(factor)

    def _words(
        self, step: Convolution, region: Region, scratch: int, tiles: Tiling
    ) -> tuple[int, int, int, int, int, int]:
        """Return what else a convolution of 16-bit numbers takes.

        That is where its sums begin, the sheets of output and addend where they are float32, the addend's
        factor, where sums of 32 bits are kept, and the sheets of norms.
        """
        assert isinstance(step, ByteConvolution)
        numbers = (step.output, step.output if step.addend is None else step.addend)
        output, addend = (place.sheet for place in (region.places[one] for one in numbers))
        kept = scratch + len(step.weight) * tiles.rows * tiles.columns * BYTES
        factor = self._bytes(step)[-1]
        norms = self._norm_sheet(step, region)
        return self._constant(self.weights.starts(step)), output, addend, factor, kept, norms

    def _norm_sheet(self, step: Convolution | Affine | ChannelNorm, region: Region) -> int:
        """Return the bytes from the norms of even lanes to those of odd ones; 0 where all are alike."""
        alike = len(step.scales) == len(step.biases) == 1 or region.grid.lanes == LANES
        return 0 if alike else region.places[step.output].channels * BYTES

    def _copies(
        self,
        step: Pointwise | Concatenate | Channels,
        region: Region,
        spot: dict[int, Spot],
        thread: int,
        share: tuple[int, int],
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

    def _pool(
        self,
        step: Pool,
        region: Region,
        spot: dict[int, Spot],
        thread: int,
        share: tuple[int, int],
        sheet: int,
    ) -> None:
        place, source = region.places[step.output], region.places[step.source]
        kind = {1: 0 if step.kind == "max" else 1, 4: 2, 2: 3}[place.packed]
        grid = region.grid
        share = _planes(share, place)
        start, pitch, plane = spot[step.source]
        if is_reduction(step, self.program):
            parts = 1 if source.repeated else grid.parts
            factor = bits(1.0 / (source.height * source.width))
            self._add(
                thread, kernels.REDUCE, kind, source.rows, source.columns, grid.images, parts, start, pitch,
                plane, spot[step.output][0], place.plane, *share, factor,
                place.sheets, source.sheet, place.sheet,
            )  # fmt: skip
            return
        start -= step.padding[0] * pitch + step.padding[1] * BYTES
        if step.output not in self.factors:
            counts = window_counts(place, grid, source, step.kernel, step.stride, step.padding)
            if step.counts_padding:
                counts = np.full_like(counts, math.prod(step.kernel))
            self.factors[step.output] = at_cache_line(1.0 / counts)
        self._add(
            thread, kernels.POOL, kind, place.rows, place.columns, *step.kernel, start, pitch, plane,
            step.stride[0] * pitch, step.stride[1] * BYTES, *spot[step.output], *share,
            self._constant(self.factors[step.output]) + sheet * place.rows * place.columns * BYTES,
        )  # fmt: skip


def bits(number: float) -> int:
    """Return the bits of a float32, as a table holds them."""
    return int(np.float32(number).view(np.int32))


def _planes(channels: tuple[int, int], place: Place) -> tuple[int, int]:
    """Return the vectors that hold some channels of a value."""
    return -(-channels[0] // place.together), -(-channels[1] // place.together)


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
