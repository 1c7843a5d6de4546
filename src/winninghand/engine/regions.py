"""How a program is cut into regions, and how images lie in each of them.

A network's first stages have large values and few weights; its last ones small values and many weights. The
first are fast when few images are cut into many parts, since their values then stay in the second cache; the
last when many images lie side by side, since each weight is then used for all of them. So a plan cuts the
program into regions. A region does its steps for some images, then for the next ones, until it has done the
whole chunk; then the next region begins, with another grid. A small model of costs chooses cuts and grids.

Grids of twice as many lanes are of 16-bit numbers, which convolutions of binary weights add up; the others
of bytes. So the model chooses between them, too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from winninghand.engine.layout import Grid, Place
from winninghand.engine.packing import Shape, tiling
from winninghand.engine.program import Channels, Convolution, Pool, Program, Step, sources_of
from winninghand.engine.quantizing import byte_values
from winninghand.engine.vectors import BYTES, DOTS_OF_BYTES, LANES

_SECOND_CACHE = 1_200_000
_MEMORY = ((_SECOND_CACHE, 40.0), (8_000_000, 7.0), (math.inf, 2.5))
"""How many bytes of values a step reads and writes in a cycle: where all of them are up to so many bytes."""
_HANDED = 15.0
"""Cycles for each vector that another core takes."""
_FAR = 4.0
"""How many bytes of weights come from beyond the second cache in a cycle."""


@dataclass(frozen=True)
class Region:
    """Steps `first` to `last` (not included), done with one grid, and how the values lie in it."""

    first: int
    last: int
    grid: Grid
    places: dict[int, Place]


def best_regions(
    program: Program, images: int, shapes: dict[tuple[int, int], Shape], threads: int = 1
) -> tuple[list[Region], float]:
    """Return the cheapest way to cut a program into regions, and its cycles for all images.

    A team of `threads` hands each value from core to core; what else it costs is counted as for one thread.

    `shapes` are those of the convolutions, by their outputs and how their sources are packed. Regions begin
    where one value alone is alive, as far as that is possible: what goes from one region to the next is
    brought into other lanes.
    """
    steps = len(program.steps)
    alive = [live(program, index) for index in range(steps + 1)]
    cuts = [index for index in range(steps) if index == 0 or len(alive[index]) == 1]
    for possible in (cuts, list(range(steps))):
        found = _cheapest(program, images, shapes, [*possible, steps], alive, threads > 1)
        if found is not None:
            return found
    raise AssertionError("each step can run in a region of its own")


def _cheapest(
    program: Program,
    images: int,
    shapes: dict[tuple[int, int], Shape],
    cuts: Sequence[int],
    alive: Sequence[tuple[int, ...]],
    by_team: bool,
) -> tuple[list[Region], float] | None:
    ends = set(cuts)
    lanes = [LANES, *([2 * LANES] if any(packed == 2 for _, packed in shapes) else [])]
    # Weights that are more than the second cache holds are brought into it anew for each chunk.
    far = sum(shape.stream for shape in shapes.values()) > _SECOND_CACHE
    best: dict[int, tuple[float, list[Region]]] = {0: (0.0, [])}
    for start in cuts[:-1]:
        if start not in best:
            continue
        before, regions = best[start]
        for grid, places in _beginnings(program, start, images, lanes):
            cycles, once = sum(_transfer(places[number]) for number in places), 0.0
            for index in range(start, len(program.steps)):
                step = program.steps[index]
                place = _placed(step, program, places, grid)
                packed = places[sources_of(step)[0]].packed
                if place is None or (isinstance(step, Convolution) and (step.output, packed) not in shapes):
                    break
                places[step.output] = _in_lanes(place, step.output, program, grid)
                shape = shapes.get((step.output, packed))
                cycles += _cycles(step, places, shape)
                if by_team:
                    made = places[step.output]
                    cycles += _HANDED * made.sheets * made.planes * made.rows * made.columns
                once += shape.stream / _FAR if far and shape is not None else 0.0
                if index + 1 in ends:
                    out = sum(_transfer(places[number]) for number in alive[index + 1] if number in places)
                    total = before + once + images // grid.images * (cycles + out)
                    if index + 1 not in best or total < best[index + 1][0]:
                        best[index + 1] = (total, [*regions, Region(start, index + 1, grid, dict(places))])
    if cuts[-1] not in best:
        return None
    cycles, regions = best[cuts[-1]]
    return [_with_borders(program, region) for region in regions], cycles


def with_maxima_apart(program: Program) -> Program:
    """Return the program with a copy of each value of which maxima, and others, see what is around it.

    Around a value there is one border, of zeros, or of −infinity for maxima.
    """
    steps: list[Step] = []
    shapes = list(program.shapes)
    copies: dict[int, int] = {}
    bytes_ = byte_values(program)
    apart = {step.source for step in program.steps if isinstance(step, Pool) and step.kind == "max"} - bytes_
    others = {
        step.source
        for step in program.steps
        if isinstance(step, Convolution) or (isinstance(step, Pool) and step.kind == "average")
    }
    if not apart & others:
        return program
    for step in program.steps:
        if isinstance(step, Pool) and step.kind == "max" and step.source in apart & others:
            if step.source not in copies:
                copies[step.source] = len(shapes)
                shapes.append(shapes[step.source])
                channels = tuple(range(shapes[step.source][0]))
                steps.append(Channels(step.source, copies[step.source], channels))
            step = replace(step, source=copies[step.source])
        steps.append(step)
    return replace(program, steps=tuple(steps), shapes=tuple(shapes))


def live(program: Program, index: int) -> tuple[int, ...]:
    """Return the values that are there before a step and used by it or after it."""
    made = [0, *(step.output for step in program.steps[:index])]
    return tuple(number for number in made if program.last_uses.get(number, -1) >= index)


def _in_lanes(place: Place, number: int, program: Program, grid: Grid) -> Place:
    """Return the place of a value as a grid's lanes hold it: of float32, bytes or 16-bit numbers."""
    if number in byte_values(program):
        return replace(place, packed=4 if grid.lanes == LANES else 2, sheets=1)
    return replace(place, packed=1, sheets=grid.lanes // LANES)


def _beginnings(
    program: Program, start: int, images: int, lanes: Sequence[int]
) -> Iterator[tuple[Grid, dict[int, Place]]]:
    """Yield grids that a region could have, with the places of the values that are there at its start."""
    shapes = {number: program.shapes[number] for number in live(program, start)}
    powers = [2**power for power in range(lanes[-1].bit_length())]
    for most, group, rows, columns in itertools.product(lanes, powers, powers, powers):
        used = group * rows * columns
        if group > min(images, LANES) or used > most or max(rows, columns) > 4 * min(rows, columns):
            continue
        if most > LANES >= used and DOTS_OF_BYTES:
            continue  # half of the lanes would be empty
        grid = Grid(group, rows, columns, most)
        seen = set()
        for multiple in (1, 2, 4, 8, 16, 32) if grid.parts > 1 else (1,):
            places = {}
            for number, (channels, height, width) in shapes.items():
                if height == width == 1 and grid.parts > 1:
                    places[number] = _in_lanes(
                        Place(channels, 1, 1, 1, 1, repeated=True), number, program, grid
                    )
                    continue
                part = [
                    size if n == 1 else math.ceil(size / n / multiple) * multiple
                    for size, n in ((height, rows), (width, columns))
                ]
                place = Place(channels, height, width, part[0], part[1])
                places[number] = _in_lanes(place, number, program, grid)
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
            return Place(channels, 1, 1, 1, 1, repeated=True) if is_reduction(step, program) else None
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


def is_reduction(step: Step, program: Program) -> bool:
    """Tell whether a step makes one number of each channel's whole image."""
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
        if not isinstance(step, Convolution | Pool) or is_reduction(step, program):
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
    lanes = 2 * LANES if place.packed == 2 else place.sheets * LANES
    return 2.0 * place.channels * place.rows * place.columns * lanes


def _cycles(step: Step, places: dict[int, Place], shape: Shape | None) -> float:
    """Return the cycles of one step, for all images of the grid."""
    output = places[step.output]
    vectors = output.sheets * output.planes * output.rows * output.columns
    moved = BYTES * vectors
    for number in sources_of(step):
        place = places[number]
        moved += BYTES * place.sheets * place.planes * (place.rows + 2) * (place.columns + 2)
    memory = moved / next(speed for size, speed in _MEMORY if moved < size)
    # The borders: written around each output.
    border = output.sheets * output.planes * 2 * (output.rows + output.columns + 2) * 2.7
    if shape is None:
        return memory + 2.0 * vectors + border
    tiles = tiling(shape, output.rows, output.columns)
    stream = shape.stream * math.ceil(output.rows / tiles.rows) * math.ceil(output.columns / tiles.columns)
    sheets = 1 if shape.packed == 2 else output.sheets
    return sheets * tiles.cycles + memory + border + stream / (40 if shape.stream < _SECOND_CACHE else 12)
