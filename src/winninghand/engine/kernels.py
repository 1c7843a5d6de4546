"""The steps of a network as compiled code, in one file: Numba calls functions of its own file alone.

All memory is a workspace of one thread, and every value in it lies as `layout.py` says: channels, rows,
columns, and innermost one vector of `LANES` numbers. A table has one row of int64 per operation: its kind,
and addresses, sizes and distances in bytes. `execute` goes through the table without coming back to Python,
so that a small network at one image is not slowed by the interpreter, and without holding its lock.

`planning.py` writes the rows, in the order in which the functions here read them.
"""

from __future__ import annotations

from typing import Any

from numba.np.numpy_support import carray

from winninghand.base.compiled import compiled
from winninghand.engine.tiles import tile, tile_of_bytes, tile_of_words
from winninghand.engine.vectors import (
    BYTES,
    add,
    add_whole,
    address_of_longs,
    arrivals,
    chosen,
    count_arrival,
    divide,
    even_words,
    float_of_bits,
    float_of_whole,
    give_way,
    larger,
    larger_bytes,
    larger_words,
    load,
    load_anywhere,
    magnitude,
    multiply,
    multiply_add,
    odd_words,
    power_of_two,
    read_byte,
    read_float,
    read_int,
    read_long,
    read_word,
    root,
    rounded,
    smaller,
    splat,
    store,
    subtract,
    together,
    with_sign,
    words_of,
    write_byte,
    write_float,
    write_word,
)

Table = Any
"""int64 (operations, COLUMNS), C-contiguous."""

COLUMNS = 29

CONVOLVE, BORDER, GATHER, SCATTER, POOL, REDUCE, COMBINE, AFFINE = range(8)
NORM, ACTIVATE, COPY, NUMBERS, QUANTIZE, MEET, CONVOLVE_WORDS, QUANTIZE_WORDS = range(8, 16)
"""Kinds of operations: the first number of a row."""

BORDER_CHANNELS = 8
"""Channels whose borders are written together."""
ENTRY = 16
"""Bytes of one entry of a packed convolution: output channel, flags, first weight and number of weights."""
ENTRY_OF_WORDS = 20
"""The same with two numbers of weights: of plus and of minus."""

JOB = 5
"""Numbers of a job: address and rows of a table, addresses of its images, logits and cards."""
CALLS, FINISHED, JOBS = 0, 64, 128
"""Where a team's board counts calls, and threads that finished theirs; then address and number of each
thread's jobs. Each count has a cache line of its own."""
_BUSILY = 2000
"""Looks at a count before the core is offered to others."""


@compiled
def announce(board: int) -> None:
    """Tell the threads that serve a board that there are new jobs on it."""
    count_arrival(board + CALLS)


@compiled
def lead(board: int, expected: int) -> None:
    """Do the jobs of a board's first thread, and wait until so many calls of all are finished."""
    perform(read_long(board + JOBS), read_long(board + JOBS + 8))
    count_arrival(board + FINISHED)
    wait(board + FINISHED, expected)


@compiled
def serve(board: int, thread: int, calls: int, patience: int) -> int:
    """Do a thread's jobs at each call after the first `calls`; return how many there were when none comes.

    `patience` is how often the core is offered to others while it waits for a call.
    """
    tries = 0
    while tries < patience:
        if arrivals(board + CALLS) > calls:
            calls += 1
            place = board + JOBS + 16 * thread
            perform(read_long(place), read_long(place + 8))
            count_arrival(board + FINISHED)
            tries = 0
        else:
            give_way()
            tries += 1
    return calls


@compiled
def perform(jobs: int, count: int) -> None:
    """Do jobs that lie at an address, one after the other."""
    for job in range(jobs, jobs + count * 8 * JOB, 8 * JOB):
        table = carray(address_of_longs(read_long(job)), (read_long(job + 8), COLUMNS))
        execute(table, read_long(job + 16), read_long(job + 24), read_long(job + 32))


@compiled
def execute(table: Table, images: int, logits: int, cards: int) -> None:
    """Do all operations of a table; `images`, `logits` and `cards` are addresses of the call's arrays."""
    for index in range(table.shape[0]):
        row = table[index]
        kind = row[0]
        if kind == CONVOLVE:
            convolve(row)
        elif kind == BORDER:
            border(row)
        elif kind == GATHER:
            gather(row, images)
        elif kind == SCATTER:
            scatter(row, logits)
        elif kind == POOL:
            pool(row)
        elif kind == REDUCE:
            reduce(row)
        elif kind == COMBINE:
            combine(row)
        elif kind == AFFINE:
            affine(row)
        elif kind == NORM:
            norm(row)
        elif kind == ACTIVATE:
            activate(row)
        elif kind == COPY:
            copy(row)
        elif kind == QUANTIZE:
            quantize(row)
        elif kind == NUMBERS:
            numbers(row, cards)
        elif kind == MEET:
            meet(row)
        elif kind == CONVOLVE_WORDS:
            convolve_words(row)
        elif kind == QUANTIZE_WORDS:
            quantize_words(row)


@compiled
def convolve(row: Table) -> None:
    """Sum a convolution's non-zero weights, tile by tile.

    For each tile, for each block of input channels, for each output channel with weights there: `tile`.
    The blocks are so small that what a tile sees of one stays in the L1 cache while all output channels use
    it; without blocks the operands come from the L2 cache, at half of the speed. A tile at the border that
    would be too large begins earlier and computes some outputs again.
    """
    shape, height, width = row[1], row[2], row[3]
    rows, columns = row[4], row[5]
    source, source_pitch, source_step = row[6], row[7], row[8]
    output, output_pitch, output_plane = row[9], row[10], row[11]
    addend, addend_pitch, addend_plane = row[12], row[13], row[14]
    entries, count, stream = row[15], row[16], row[17]
    scratch, scales, biases = row[18], row[19], row[20]
    low, high = float_of_bits(row[21]), float_of_bits(row[22])
    of_bytes, output_packed, addend_packed = row[23], row[24], row[25]
    addend_factor = float_of_bits(row[26])
    bytes_of_tile = rows * columns * BYTES
    y = 0
    while y < height:
        y = min(y, height - rows)
        x = 0
        while x < width:
            x = min(x, width - columns)
            here = source + y * source_pitch + x * source_step
            there = output + y * output_pitch + x * BYTES
            other = addend + y * addend_pitch + x * BYTES
            for place in range(entries, entries + count * ENTRY, ENTRY):
                channel = read_int(place)
                flags = read_int(place + 4)
                begin = stream + 8 * read_int(place + 8)
                weights = read_int(place + 12)
                kept = scratch + channel * bytes_of_tile
                first, last = (flags & 1) != 0, (flags & 2) != 0
                to = there + channel * output_plane
                more = other + channel * addend_plane if addend != 0 else 0
                scale, bias = scales + channel * BYTES, biases + channel * BYTES
                if of_bytes == 0:
                    tile(
                        shape, begin, weights, here, source_pitch, kept, first, last,
                        to, output_pitch, scale, bias, more, addend_pitch, low, high,
                    )  # fmt: skip
                else:
                    shift = 8 * (channel & 3)
                    if output_packed != 0:
                        to = there + (channel >> 2) * output_plane
                    if addend_packed != 0:
                        more = other + (channel >> 2) * addend_plane
                    tile_of_bytes(
                        shape, begin, weights, here, source_pitch, kept, first, last,
                        to, output_pitch, scale, bias, more, addend_pitch, low, high,
                        shift if output_packed != 0 else -1, shift if addend_packed != 0 else -1,
                        addend_factor,
                    )  # fmt: skip
            x += columns
        y += rows


@compiled
def convolve_words(row: Table) -> None:
    """Add and subtract 16-bit numbers, as `convolve` sums up others. `pack_words` tells what entries say."""
    shape, height, width = row[1], row[2], row[3]
    rows, columns = row[4], row[5]
    source, source_pitch, source_step = row[6], row[7], row[8]
    output, output_pitch, output_plane = row[9], row[10], row[11]
    addend, addend_pitch, addend_plane = row[12], row[13], row[14]
    entries, count, stream = row[15], row[16], row[17]
    scratch, scales, biases = row[18], row[19], row[20]
    low, high = splat(float_of_bits(row[21])), splat(float_of_bits(row[22]))
    starts, output_sheet, addend_sheet, whole = row[23], row[24], row[25], row[27]
    addend_factor, norm_sheet = splat(float_of_bits(row[26])), row[28]
    bytes_of_tile = rows * columns * BYTES
    y = 0
    while y < height:
        y = min(y, height - rows)
        x = 0
        while x < width:
            x = min(x, width - columns)
            here = source + y * source_pitch + x * source_step
            there = output + y * output_pitch + x * BYTES
            other = addend + y * addend_pitch + x * BYTES
            for place in range(entries, entries + count * ENTRY_OF_WORDS, ENTRY_OF_WORDS):
                channel = read_int(place)
                flags = read_int(place + 4)
                begin = stream + 4 * read_int(place + 8)
                plus, minus = read_int(place + 12), read_int(place + 16)
                kept = scratch + channel * bytes_of_tile
                start = (flags >> 16) & 65535 if (flags & 4) != 0 else -1
                tile_of_words(shape, begin, plus, minus, here, source_pitch, kept, start)
                if (flags & 8) == 0:
                    continue
                # The run ends: its sums become int32, those of even and of odd places apart.
                later = whole + 2 * channel * bytes_of_tile
                step = 0 if (flags & 1) != 0 else BYTES
                earlier = later if step != 0 else starts + channel * BYTES
                scale, bias = load(scales + channel * BYTES), load(biases + channel * BYTES)
                other_scale = load(scales + channel * BYTES + norm_sheet)
                other_bias = load(biases + channel * BYTES + norm_sheet)
                for line in range(rows):
                    to = there + channel * output_plane + line * output_pitch
                    more = other + channel * addend_plane + line * addend_pitch
                    for _ in range(columns):
                        sums = load(kept)
                        even = add_whole(even_words(sums), load(earlier))
                        odd = add_whole(odd_words(sums), load(earlier + step))
                        if (flags & 2) == 0:
                            store(even, later)
                            store(odd, later + BYTES)
                        else:
                            even = multiply_add(float_of_whole(even), scale, bias)
                            odd = multiply_add(float_of_whole(odd), other_scale, other_bias)
                            if addend != 0:
                                added = load(more)
                                if addend_sheet == 0:
                                    even_added = float_of_whole(even_words(added))
                                    odd_added = float_of_whole(odd_words(added))
                                else:
                                    even_added, odd_added = added, load(more + addend_sheet)
                                even = multiply_add(even_added, addend_factor, even)
                                odd = multiply_add(odd_added, addend_factor, odd)
                            even = smaller(larger(even, low), high)
                            odd = smaller(larger(odd, low), high)
                            if output_sheet == 0:
                                store(words_of(even, odd), to)
                            else:
                                store(even, to)
                                store(odd, to + output_sheet)
                        kept += BYTES
                        earlier += 2 * step
                        later += 2 * BYTES
                        to += BYTES
                        more += BYTES
            x += columns
        y += rows


@compiled
def border(row: Table) -> None:
    """Write what lies around the parts of an image: the neighbouring parts' edges, or the fill.

    A neighbour's numbers lie in other lanes of a vector of this value. The same numbers some lanes further
    on are what a load from some bytes earlier gives; a mask has a 0 where there is no neighbour.
    """
    value, plane, first, last, moves, count, fill = row[1], row[2], row[3], row[4], row[5], row[6], row[7]
    outside = splat(float_of_bits(fill))
    # Some channels at a time: a move is read once for all of them, and they are still in the first cache.
    for channel in range(first, last, BORDER_CHANNELS):
        base = value + channel * plane
        end = value + min(channel + BORDER_CHANNELS, last) * plane
        for move in range(moves, moves + 24 * count, 24):
            to, origin, mask = read_long(move), read_long(move + 8), load(read_long(move + 16))
            for start in range(base, end, plane):
                store(chosen(mask, load_anywhere(start + origin), outside), start + to)


@compiled
def gather(row: Table, images: int) -> None:
    """Bring images that lie one after the other (channels, height, width) into lanes."""
    source, base, image_stride, height, width = row[1], row[2], row[3], row[4], row[5]
    value, pitch, plane, first, last = row[6], row[7], row[8], row[9], row[10]
    group, grid_rows, grid_columns = row[11], row[12], row[13]
    rows, columns, repeated = row[14], row[15], row[16]
    packed, sheet, lanes, count = row[17], row[18], row[19], row[20]
    if base != 0:
        source += images
    if lanes != 0:
        gather_even(
            source, height, width, value, pitch, plane, first, last, rows, columns, packed, lanes, count
        )
        return
    for channel in range(first, last):
        lane = 0
        for part_row in range(grid_rows):
            for part_column in range(grid_columns):
                top = 0 if repeated != 0 else part_row * rows
                left = 0 if repeated != 0 else part_column * columns
                for image in range(group):
                    here = source + image * image_stride + 4 * channel * height * width
                    there = number_at(value, plane, channel, lane, packed, sheet)
                    for y in range(rows):
                        inside = max(0, min(columns, width - left)) if top + y < height else 0
                        origin = here + 4 * ((top + y) * width + left)
                        to = there + y * pitch
                        if packed == 4:
                            for x in range(inside):
                                write_byte(read_float(origin + 4 * x), to + x * BYTES)
                            for x in range(inside, columns):
                                write_byte(0.0, to + x * BYTES)
                        elif packed == 2:
                            for x in range(inside):
                                write_word(read_float(origin + 4 * x), to + x * BYTES)
                            for x in range(inside, columns):
                                write_word(0.0, to + x * BYTES)
                        else:
                            for x in range(inside):
                                write_float(read_float(origin + 4 * x), to + x * BYTES)
                            for x in range(inside, columns):
                                write_float(0.0, to + x * BYTES)
                    lane += 1


@compiled
def gather_even(
    source: int, height: int, width: int, value: int, pitch: int, plane: int, first: int, last: int,
    rows: int, columns: int, packed: int, lanes: int, count: int,
) -> None:  # fmt: skip
    """Bring images into lanes vector by vector, where all parts of an image are whole.

    `lanes` is the address of how far behind the first image's first number each lane's first number is.
    """
    for channel in range(first, last):
        for y in range(rows):
            here = source + 4 * (channel * height * width + y * width)
            there = number_at(value, plane, channel, 0, packed, 0) + y * pitch
            for _ in range(columns):
                if packed == 4:
                    for lane in range(count):
                        write_byte(read_float(here + read_long(lanes + 8 * lane)), there + 4 * lane)
                elif packed == 2:
                    for lane in range(count):
                        write_word(read_float(here + read_long(lanes + 8 * lane)), there + 2 * lane)
                else:
                    for lane in range(count):
                        write_float(read_float(here + read_long(lanes + 8 * lane)), there + 4 * lane)
                here += 4
                there += BYTES


@compiled
def scatter_even(
    target: int, height: int, width: int, value: int, pitch: int, plane: int, first: int, last: int,
    rows: int, columns: int, packed: int, lanes: int, count: int,
) -> None:  # fmt: skip
    """Write images out of their lanes likewise."""
    for channel in range(first, last):
        for y in range(rows):
            there = target + 4 * (channel * height * width + y * width)
            here = number_at(value, plane, channel, 0, packed, 0) + y * pitch
            for _ in range(columns):
                if packed == 4:
                    for lane in range(count):
                        write_float(read_byte(here + 4 * lane), there + read_long(lanes + 8 * lane))
                elif packed == 2:
                    for lane in range(count):
                        write_float(read_word(here + 2 * lane), there + read_long(lanes + 8 * lane))
                else:
                    for lane in range(count):
                        write_float(read_float(here + 4 * lane), there + read_long(lanes + 8 * lane))
                there += 4
                here += BYTES


@compiled
def number_at(value: int, plane: int, channel: int, lane: int, packed: int, sheet: int) -> int:
    """Return the address of a channel's first number in a lane; `sheet` is 0 where there is one alone."""
    if packed == 4:
        return value + (channel >> 2) * plane + 4 * lane + (channel & 3)
    if packed == 2:
        return value + channel * plane + 2 * lane
    if sheet != 0:
        return value + channel * plane + (lane & 1) * sheet + 4 * (lane >> 1)
    return value + channel * plane + 4 * lane


@compiled
def scatter(row: Table, logits: int) -> None:
    """Write a value out of its lanes, one image after the other (channels, height, width)."""
    target, base, image_stride, height, width = row[1], row[2], row[3], row[4], row[5]
    value, pitch, plane, first, last = row[6], row[7], row[8], row[9], row[10]
    group, grid_rows, grid_columns, rows, columns = row[11], row[12], row[13], row[14], row[15]
    packed, sheet, lanes, count = row[16], row[17], row[18], row[19]
    if base != 0:
        target += logits
    if lanes != 0:
        scatter_even(
            target, height, width, value, pitch, plane, first, last, rows, columns, packed, lanes, count
        )
        return
    for channel in range(first, last):
        for part_row in range(grid_rows):
            for part_column in range(grid_columns):
                top, left = part_row * rows, part_column * columns
                for image in range(group):
                    lane = (part_row * grid_columns + part_column) * group + image
                    there = target + image * image_stride + 4 * channel * height * width
                    here = number_at(value, plane, channel, lane, packed, sheet)
                    for y in range(min(rows, height - top)):
                        origin = here + y * pitch
                        to = there + 4 * ((top + y) * width + left)
                        if packed == 4:
                            for x in range(min(columns, width - left)):
                                write_float(read_byte(origin + x * BYTES), to + 4 * x)
                        elif packed == 2:
                            for x in range(min(columns, width - left)):
                                write_float(read_word(origin + x * BYTES), to + 4 * x)
                        else:
                            for x in range(min(columns, width - left)):
                                write_float(read_float(origin + x * BYTES), to + 4 * x)


@compiled
def pool(row: Table) -> None:
    """Maximum, of bytes and 16-bit numbers too, or sum times a factor, for each place of the output."""
    kind, height, width, kernel_rows, kernel_columns = row[1], row[2], row[3], row[4], row[5]
    source, source_pitch, source_plane, row_step, column_step = row[6], row[7], row[8], row[9], row[10]
    output, output_pitch, output_plane = row[11], row[12], row[13]
    first, last, factors = row[14], row[15], row[16]
    for channel in range(first, last):
        for y in range(height):
            for x in range(width):
                here = source + channel * source_plane + y * row_step + x * column_step
                total = load(here)
                for ky in range(kernel_rows):
                    for kx in range(kernel_columns):
                        if ky + kx > 0:
                            seen = load(here + ky * source_pitch + kx * BYTES)
                            if kind == 1:
                                total = add(total, seen)
                            elif kind == 0:
                                total = larger(total, seen)
                            else:
                                total = larger_bytes(total, seen) if kind == 2 else larger_words(total, seen)
                if kind == 1:
                    total = multiply(total, load(factors + (y * width + x) * BYTES))
                store(total, output + channel * output_plane + y * output_pitch + x * BYTES)


@compiled
def reduce(row: Table) -> None:
    """Maximum or mean of each channel over the whole image; all parts of an image get the same."""
    kind, height, width, group, parts = row[1], row[2], row[3], row[4], row[5]
    source, source_pitch, source_plane = row[6], row[7], row[8]
    output, output_plane, first, last, factor = row[9], row[10], row[11], row[12], float_of_bits(row[13])
    sheets, source_sheet, output_sheet = row[14], row[15], row[16]
    for channel in range(first, last):
        for sheet in range(sheets):
            here = source + channel * source_plane + sheet * source_sheet
            total = load(here)
            for y in range(height):
                for x in range(width):
                    if y + x > 0:
                        seen = load(here + y * source_pitch + x * BYTES)
                        total = larger(total, seen) if kind == 0 else add(total, seen)
            store(total, output + channel * output_plane + sheet * output_sheet)
        for image in range(group):
            best = read_float(number_at(output, output_plane, channel, image, 1, output_sheet))
            for part in range(1, parts):
                lane = part * group + image
                seen_here = read_float(number_at(output, output_plane, channel, lane, 1, output_sheet))
                best = max(best, seen_here) if kind == 0 else best + seen_here
            result = best if kind == 0 else best * factor
            for part in range(parts):
                lane = part * group + image
                write_float(result, number_at(output, output_plane, channel, lane, 1, output_sheet))


@compiled
def combine(row: Table) -> None:
    """Add or multiply two values; the second may be one vector per channel."""
    kind, height, width = row[1], row[2], row[3]
    left, left_pitch, left_plane = row[4], row[5], row[6]
    right, right_pitch, right_plane, right_step = row[7], row[8], row[9], row[10]
    output, output_pitch, output_plane, first, last = row[11], row[12], row[13], row[14], row[15]
    low, high = splat(float_of_bits(row[16])), splat(float_of_bits(row[17]))
    for channel in range(first, last):
        for y in range(height):
            here = left + channel * left_plane + y * left_pitch
            other = right + channel * right_plane + y * right_pitch
            there = output + channel * output_plane + y * output_pitch
            for x in range(width):
                one, two = load(here + x * BYTES), load(other + x * right_step)
                value = add(one, two) if kind == 0 else multiply(one, two)
                store(smaller(larger(value, low), high), there + x * BYTES)


@compiled
def affine(row: Table) -> None:
    """Scale and shift each channel."""
    height, width, source, source_pitch, source_plane = row[1], row[2], row[3], row[4], row[5]
    output, output_pitch, output_plane, first, last = row[6], row[7], row[8], row[9], row[10]
    scales, biases = row[11], row[12]
    low, high = splat(float_of_bits(row[13])), splat(float_of_bits(row[14]))
    for channel in range(first, last):
        scale, bias = load(scales + channel * BYTES), load(biases + channel * BYTES)
        for y in range(height):
            here = source + channel * source_plane + y * source_pitch
            there = output + channel * output_plane + y * output_pitch
            for x in range(width):
                value = multiply_add(load(here + x * BYTES), scale, bias)
                store(smaller(larger(value, low), high), there + x * BYTES)


@compiled
def norm(row: Table) -> None:
    """Layer norm of each place over its channels."""
    first, last, width, channels = row[1], row[2], row[3], row[4]
    source, source_pitch, source_plane = row[5], row[6], row[7]
    output, output_pitch, output_plane = row[8], row[9], row[10]
    scales, biases, epsilon = row[11], row[12], float_of_bits(row[13])
    share = splat(1.0 / channels)
    for y in range(first, last):
        for x in range(width):
            here = source + y * source_pitch + x * BYTES
            there = output + y * output_pitch + x * BYTES
            total = splat(0.0)
            for channel in range(channels):
                total = add(total, load(here + channel * source_plane))
            mean = multiply(total, share)
            total = splat(0.0)
            for channel in range(channels):
                apart = subtract(load(here + channel * source_plane), mean)
                total = multiply_add(apart, apart, total)
            deviation = root(multiply_add(total, share, splat(epsilon)))
            for channel in range(channels):
                apart = divide(subtract(load(here + channel * source_plane), mean), deviation)
                value = multiply_add(apart, load(scales + channel * BYTES), load(biases + channel * BYTES))
                store(value, there + channel * output_plane)


@compiled
def copy(row: Table) -> None:
    """Copy channels, in any order: concatenations, splits and shuffles."""
    height, width, source, source_pitch, source_plane = row[1], row[2], row[3], row[4], row[5]
    output, output_pitch, output_plane = row[6], row[7], row[8]
    first, last, indices = row[9], row[10], row[11]
    for channel in range(first, last):
        origin = read_long(indices + 8 * channel)
        for y in range(height):
            here = source + origin * source_plane + y * source_pitch
            there = output + channel * output_plane + y * output_pitch
            for x in range(width):
                store(load(here + x * BYTES), there + x * BYTES)


@compiled
def quantize(row: Table) -> None:
    """Round a value to bytes, four channels in a vector."""
    height, width, source, source_pitch, source_plane = row[1], row[2], row[3], row[4], row[5]
    output, output_pitch, output_plane, first, last = row[6], row[7], row[8], row[9], row[10]
    factor, zero, most = splat(float_of_bits(row[11])), splat(0.0), splat(255.0)
    for channel in range(first, last, 4):
        for y in range(height):
            here = source + channel * source_plane + y * source_pitch
            there = output + (channel >> 2) * output_plane + y * output_pitch
            for x in range(width):
                one = rounded(smaller(multiply(load(here), factor), most))
                two = three = four = zero
                if channel + 1 < last:
                    two = rounded(smaller(multiply(load(here + source_plane), factor), most))
                if channel + 2 < last:
                    three = rounded(smaller(multiply(load(here + 2 * source_plane), factor), most))
                if channel + 3 < last:
                    four = rounded(smaller(multiply(load(here + 3 * source_plane), factor), most))
                store(together(one, two, three, four), there + x * BYTES)
                here += BYTES


@compiled
def quantize_words(row: Table) -> None:
    """Round a value of two sheets to 16-bit numbers of 0 .. 255."""
    height, width, source, source_pitch, source_plane = row[1], row[2], row[3], row[4], row[5]
    output, output_pitch, output_plane, first, last = row[6], row[7], row[8], row[9], row[10]
    factor, most, sheet = splat(float_of_bits(row[11])), splat(255.0), row[12]
    for channel in range(first, last):
        for y in range(height):
            here = source + channel * source_plane + y * source_pitch
            there = output + channel * output_plane + y * output_pitch
            for x in range(width):
                even = smaller(multiply(load(here), factor), most)
                odd = smaller(multiply(load(here + sheet), factor), most)
                store(words_of(even, odd), there + x * BYTES)
                here += BYTES


@compiled
def numbers(row: Table, cards: int) -> None:
    """Spread the scales or biases of each image's own card over its lanes."""
    source, width, target, first, last = row[1], row[2], row[3], row[4], row[5]
    image, group, parts, sheet = row[6], row[7], row[8], row[9]
    for member in range(group):
        here = source + 4 * width * read_long(cards + 8 * (image + member))
        for channel in range(first, last):
            for part in range(parts):
                lane = part * group + member
                write_float(read_float(here + 4 * channel), number_at(target, BYTES, channel, lane, 1, sheet))


@compiled
def meet(row: Table) -> None:
    """Wait until all threads of a team have come here."""
    counter, expected = row[1], row[2]
    count_arrival(counter)
    wait(counter, expected)


@compiled
def wait(counter: int, expected: int) -> None:
    """Wait until a count that other threads count up is as large as expected."""
    tries = 0
    while arrivals(counter) < expected:
        tries += 1
        if tries > _BUSILY:
            give_way()


@compiled
def activate(row: Table) -> None:
    """Apply an activation to a value where it lies."""
    kind, height, width, value = row[1], row[2], row[3], row[4]
    pitch, plane, first, last = row[5], row[6], row[7], row[8]
    low, high = splat(float_of_bits(row[9])), splat(float_of_bits(row[10]))
    zero, one, half = splat(0.0), splat(1.0), splat(0.5)
    for channel in range(first, last):
        for y in range(height):
            here = value + channel * plane + y * pitch
            for x in range(width):
                number = load(here + x * BYTES)
                if kind == 0:  # leaky: `low` is the slope
                    result = add(larger(number, zero), multiply(low, smaller(number, zero)))
                elif kind == 1 or kind == 2:  # hardsigmoid, hardswish
                    result = multiply_add(number, splat(1.0 / 6.0), half)
                    result = smaller(larger(result, zero), one)
                    if kind == 2:
                        result = multiply(result, number)
                elif kind == 3:
                    result = sigmoid(number)
                elif kind == 4:
                    result = multiply(number, sigmoid(number))
                elif kind == 5:
                    result = hyperbolic_tangent(number)
                elif kind == 6:
                    result = error_function(multiply(number, splat(0.7071067811865476)))
                    result = multiply(multiply(number, half), add(one, result))
                elif kind == 7:
                    cubic = multiply(multiply(number, number), splat(0.044715))
                    inner = multiply(multiply(number, splat(0.7978845608028654)), add(one, cubic))
                    result = multiply(multiply(number, half), add(one, hyperbolic_tangent(inner)))
                else:
                    result = smaller(larger(number, low), high)
                store(result, here + x * BYTES)


@compiled
def exponential(number: Any) -> Any:
    """Return e to the numbers, within 2 units in the last place: 2 to a whole number times a polynomial."""
    number = smaller(larger(number, splat(-87.0)), splat(88.0))
    whole = rounded(multiply(number, splat(1.4426950408889634)))
    rest = multiply_add(whole, splat(-0.693359375), number)
    rest = multiply_add(whole, splat(2.12194440e-4), rest)
    result = splat(1.9875691500e-4)
    result = multiply_add(result, rest, splat(1.3981999507e-3))
    result = multiply_add(result, rest, splat(8.3334519073e-3))
    result = multiply_add(result, rest, splat(4.1665795894e-2))
    result = multiply_add(result, rest, splat(1.6666665459e-1))
    result = multiply_add(result, rest, splat(0.5))
    result = add(multiply_add(multiply(result, rest), rest, rest), splat(1.0))
    return multiply(result, power_of_two(whole))


@compiled
def sigmoid(number: Any) -> Any:
    """Return 1 / (1 + e^−x)."""
    return divide(splat(1.0), add(splat(1.0), exponential(subtract(splat(0.0), number))))


@compiled
def hyperbolic_tangent(number: Any) -> Any:
    """Return tanh x, as 1 − 2 / (e^2x + 1)."""
    grown = exponential(multiply(splat(2.0), number))
    return subtract(splat(1.0), divide(splat(2.0), add(grown, splat(1.0))))


@compiled
def error_function(number: Any) -> Any:
    """Return erf x, within 1.5e-7: Abramowitz and Stegun, 7.1.26."""
    size = magnitude(number)
    share = divide(splat(1.0), multiply_add(splat(0.3275911), size, splat(1.0)))
    result = splat(1.061405429)
    result = multiply_add(result, share, splat(-1.453152027))
    result = multiply_add(result, share, splat(1.421413741))
    result = multiply_add(result, share, splat(-0.284496736))
    result = multiply(multiply_add(result, share, splat(0.254829592)), share)
    result = multiply(result, exponential(subtract(splat(0.0), multiply(size, size))))
    return with_sign(subtract(splat(1.0), result), number)
