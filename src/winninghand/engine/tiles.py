"""The heart of the engine: weights summed over a tile in registers; three kinds of numbers in one file.

Written in LLVM's own language, since Numba has no words to keep an array of vectors in registers. One weight
is one broadcast, and for each vector of the tile one multiply-add whose operand comes from the first cache:
nothing else. So the speed is that of the multiply-adds, as in a dense kernel, but zeros cost nothing.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from winninghand.engine.vectors import (
    BYTES,
    DOTS_OF_BYTES,
    INT,
    LANES,
    LONG,
    REGISTER,
    WHOLE,
    WORDS,
    call,
    instruction,
    larger_of,
    load_from,
    smaller_of,
    splat_of,
    store_to,
)

TILES = (
    *((rows, columns, 1) for rows, columns in ((4, 4), (2, 4), (4, 2), (2, 2), (1, 4), (1, 2))),
    *((rows, columns, 2) for rows, columns in ((4, 4), (2, 4), (4, 2), (2, 2), (1, 4), (1, 2))),
    *((rows, 1, 1) for rows in (4, 2, 1)),
)
"""Rows and columns of tiles, in vectors, and how many vectors apart the columns' inputs lie: the stride.

A tile of one column serves all strides.
"""
_CHAINS = 8
"""A multiply-add takes four cycles and two begin in each: so many sums keep the processor busy."""


@instruction
def tile(
    context: Any,
    shape: Any,
    stream: Any,
    count: Any,
    source: Any,
    source_pitch: Any,
    scratch: Any,
    is_first: Any,
    is_last: Any,
    output: Any,
    output_pitch: Any,
    scale: Any,
    bias: Any,
    addend: Any,
    addend_pitch: Any,
    low: Any,
    high: Any,
) -> Any:
    """Sum `count` weights of a stream over one tile of one output channel.

    `shape` is the tile's number in `TILES`. A weight is 8 bytes of the stream: how many bytes its input lies
    behind `source`, which is what the tile's first vector sees through the kernel's first weight, and its
    float32. The rows that the tile sees lie `source_pitch` bytes apart.

    Input channels come in blocks. Between blocks the sums stay at `scratch`; `is_first` begins at 0, and
    `is_last` writes min(max(scale × sum + bias + addend, low), high) to `output`. `scale` and `bias` are
    addresses of vectors, `addend` is the address of the tile in another value, or 0.
    """
    long, flag, real = types.int64, types.boolean, types.float32
    signature = types.void(*[long] * 6, flag, flag, *[long] * 6, real, real)

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _write_all(_Tile, builder, given)
        return context.get_dummy_value()

    return signature, generate


@instruction
def tile_of_bytes(
    context: Any,
    shape: Any,
    stream: Any,
    count: Any,
    source: Any,
    source_pitch: Any,
    scratch: Any,
    is_first: Any,
    is_last: Any,
    output: Any,
    output_pitch: Any,
    scale: Any,
    bias: Any,
    addend: Any,
    addend_pitch: Any,
    low: Any,
    high: Any,
    output_shift: Any,
    addend_shift: Any,
    addend_factor: Any,
) -> Any:
    """Do what `tile` does with four input channels to each weight: four int8 in place of the float32.

    Each lane of the source has four bytes, 0 .. 255. The output is one byte of each lane, `output_shift`
    bits from the right, whose other bytes stay; or float32, where that is −1. So is the addend, which is
    multiplied by `addend_factor`.
    """
    long, flag, real = types.int64, types.boolean, types.float32
    signature = types.void(*[long] * 6, flag, flag, *[long] * 6, real, real, long, long, real)

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        if DOTS_OF_BYTES:
            _write_all(_ByteTile, builder, given)
        return context.get_dummy_value()

    return signature, generate


@instruction
def tile_of_words(
    context: Any,
    shape: Any,
    stream: Any,
    plus: Any,
    minus: Any,
    source: Any,
    source_pitch: Any,
    scratch: Any,
    start: Any,
) -> Any:
    """Add `plus` vectors of 16-bit numbers to each sum of a tile, and subtract `minus` others.

    A weight is 4 bytes of the stream: how many bytes its input lies behind `source`. The sums begin at
    `start`, or at those of `scratch` where it is negative, and end at `scratch`. They lose what is over 16
    bits.
    """
    signature = types.void(*[types.int64] * 8)

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _write_all(_WordTile, builder, given)
        return context.get_dummy_value()

    return signature, generate


def _write_all(kind: type[_Tile] | type[_WordTile], builder: Any, given: Any) -> None:
    """Write the code of all shapes, and a jump to the one whose number is given."""
    end = builder.append_basic_block("end")
    cases = [builder.append_basic_block(f"tile{rows}x{columns}") for rows, columns, _ in TILES]
    choice = builder.switch(given[0], cases[-1])
    for number, case in enumerate(cases):
        choice.add_case(ir.Constant(LONG, number), case)
    for case, (rows, columns, step) in zip(cases, TILES, strict=True):
        builder.position_at_end(case)
        kind(builder, rows, columns, step).write(*given[1:], end=end)
    builder.position_at_end(end)


class _Shape:
    """Writes the code for one shape of tile: what all kinds of numbers have in common."""

    size_of_weight = 8
    """Bytes of the stream."""

    def __init__(self, builder: Any, rows: int, columns: int, step: int) -> None:
        self.builder, self.rows, self.columns, self.step = builder, rows, columns, step
        self.size = rows * columns

    def _loop(self, stream: Any, count: Any, rows: list[Any], sums: list[Any], chains: int) -> list[Any]:
        """Write a loop over `count` weights, `chains` at a time, and return the sums after it."""
        builder = self.builder
        loop, after = self._blocks("weights", "after")
        size = self.size_of_weight
        stop = builder.add(stream, builder.mul(count, ir.Constant(LONG, size)))
        before = builder.block
        builder.cbranch(builder.icmp_unsigned("<", stream, stop), loop, after)

        builder.position_at_end(loop)
        position = builder.phi(LONG)
        position.add_incoming(stream, before)
        running = self._merged((sums, before))
        added = []
        for chain in range(chains):
            place = builder.add(position, ir.Constant(LONG, size * chain))
            added += self._weight(place, rows, running[chain * self.size : (chain + 1) * self.size])
        following = builder.add(position, ir.Constant(LONG, size * chains))
        position.add_incoming(following, loop)
        for phi, value in zip(running, added, strict=True):
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_unsigned("<", following, stop), loop, after)

        builder.position_at_end(after)
        return self._merged((sums, before), (added, loop))

    def _weight(self, position: Any, rows: list[Any], sums: list[Any]) -> list[Any]:
        """Return the sums after the weight at a position of the stream."""
        raise NotImplementedError

    def _seen(self, position: Any, rows: list[Any], kind: Any) -> list[Any]:
        """Return the vectors that the tile sees through the weight at a position of the stream."""
        builder = self.builder
        offset = builder.sext(load_from(builder, position, INT, 4), LONG)
        seen = []
        for row in rows:
            first = builder.add(row, offset)
            for column in range(self.columns):
                apart = ir.Constant(LONG, column * self.step * BYTES)
                seen.append(load_from(builder, builder.add(first, apart), kind))
        return seen

    def _rows(self, source: Any, pitch: Any) -> list[Any]:
        """Return the addresses of the rows that the tile sees."""
        rows = [source]
        while len(rows) < self.rows:
            rows.append(self.builder.add(rows[-1], pitch))
        return rows

    def _blocks(self, *names: str) -> list[Any]:
        return [self.builder.append_basic_block(name) for name in names]

    def _merged(self, *ways: tuple[list[Any], Any]) -> list[Any]:
        """Return vectors that come from one of several blocks: by what each block has, and the block."""
        found = []
        for index in range(len(ways[0][0])):
            phi = self.builder.phi(ways[0][0][index].type)
            for vectors, block in ways:
                phi.add_incoming(vectors[index], block)
            found.append(phi)
        return found

    def _line(self, address: Any) -> list[Any]:
        """Return the addresses of the tile's vectors where they lie one after the other."""
        return [self.builder.add(address, ir.Constant(LONG, i * BYTES)) for i in range(self.size)]


class _Tile(_Shape):
    """Writes the code for one shape of tile, of float32."""

    register = REGISTER
    zero = ir.Constant(REGISTER, [0.0] * LANES)

    def __init__(self, builder: Any, rows: int, columns: int, step: int) -> None:
        super().__init__(builder, rows, columns, step)
        self.chains = max(1, _CHAINS // self.size)

    def write(
        self,
        stream: Any,
        count: Any,
        source: Any,
        source_pitch: Any,
        scratch: Any,
        is_first: Any,
        is_last: Any,
        output: Any,
        output_pitch: Any,
        scale: Any,
        bias: Any,
        addend: Any,
        addend_pitch: Any,
        low: Any,
        high: Any,
        *more: Any,
        end: Any,
    ) -> None:
        """Write the whole of it, from the builder's block to the block `end`."""
        builder, zero = self.builder, self.zero
        resume, start, summed = self._blocks("resume", "start", "summed")
        keep, finish, join, write = self._blocks("keep", "finish", "join", "write")
        rows = self._rows(source, source_pitch)
        entry = builder.block
        builder.cbranch(is_first, start, resume)

        builder.position_at_end(resume)
        kept = [load_from(builder, address, self.register) for address in self._line(scratch)]
        builder.branch(start)

        builder.position_at_end(start)
        sums = self._merged(([zero] * self.size, entry), (kept, resume))
        sums = self._summed(stream, count, rows, sums)
        builder.branch(summed)

        builder.position_at_end(summed)
        builder.cbranch(is_last, finish, keep)

        builder.position_at_end(keep)
        for value, address in zip(sums, self._line(scratch), strict=True):
            store_to(builder, value, address)
        builder.branch(end)

        builder.position_at_end(finish)
        factor, shift = load_from(builder, scale), load_from(builder, bias)
        scaled = [call(builder, "fmuladd", self._as_float(value), factor, shift) for value in sums]
        builder.cbranch(builder.icmp_unsigned("!=", addend, ir.Constant(LONG, 0)), join, write)

        builder.position_at_end(join)
        others = self._addends(self._square(addend, addend_pitch), *more)
        joined = [builder.fadd(value, other) for value, other in zip(scaled, others, strict=True)]
        joined_in = builder.block
        builder.branch(write)

        builder.position_at_end(write)
        values = self._merged((scaled, finish), (joined, joined_in))
        least, most = splat_of(builder, low), splat_of(builder, high)
        values = [smaller_of(builder, larger_of(builder, value, least), most) for value in values]
        self._stored(values, self._square(output, output_pitch), *more)
        builder.branch(end)

    def _as_float(self, value: Any) -> Any:
        return value

    def _addends(self, addresses: list[Any], *_: Any) -> list[Any]:
        """Return the vectors that are added to the tile's."""
        return [load_from(self.builder, address) for address in addresses]

    def _stored(self, values: list[Any], addresses: list[Any], *_: Any) -> None:
        """Write the tile's vectors."""
        for value, address in zip(values, addresses, strict=True):
            store_to(self.builder, value, address)

    def _summed(self, stream: Any, count: Any, rows: list[Any], sums: list[Any]) -> list[Any]:
        """Write the loops over the weights, and return the sums.

        A small tile would wait for its own sums. So several weights at a time have sums of their own, which
        are added up in the end; what is left of the weights goes one by one.
        """
        builder, chains = self.builder, self.chains
        if chains > 1:
            whole = builder.and_(count, ir.Constant(LONG, -chains))
            wide = sums + [self.zero] * (self.size * (chains - 1))
            wide = self._loop(stream, whole, rows, wide, chains)
            while len(wide) > self.size:
                half = len(wide) // 2
                wide = [self._plus(wide[i], wide[i + half]) for i in range(half)]
            sums = wide
            stream = builder.add(stream, builder.shl(whole, ir.Constant(LONG, 3)))
            count = builder.sub(count, whole)
        return self._loop(stream, count, rows, sums, 1)

    def _weight(self, position: Any, rows: list[Any], sums: list[Any]) -> list[Any]:
        """Add the weight at a position of the stream, times what the tile sees through it, to the sums."""
        builder = self.builder
        value = load_from(builder, builder.add(position, ir.Constant(LONG, 4)), self.register.element, 4)
        factor = splat_of(builder, value)
        seen = self._seen(position, rows, self.register)
        return [self._added(factor, one, total) for one, total in zip(seen, sums, strict=True)]

    def _added(self, weight: Any, seen: Any, total: Any) -> Any:
        return call(self.builder, "fmuladd", weight, seen, total)

    def _plus(self, left: Any, right: Any) -> Any:
        return self.builder.fadd(left, right)

    def _square(self, address: Any, pitch: Any) -> list[Any]:
        """Return the addresses of the tile's vectors where rows lie `pitch` bytes apart."""
        found = []
        for row in range(self.rows):
            address = self.builder.add(address, pitch) if row else address
            found += [self.builder.add(address, ir.Constant(LONG, i * BYTES)) for i in range(self.columns)]
        return found


class _ByteTile(_Tile):
    """Writes the code for one shape of tile, of bytes: four channels at once, summed in int32."""

    register = WHOLE
    zero = ir.Constant(WHOLE, [0] * LANES)

    def _added(self, weight: Any, seen: Any, total: Any) -> Any:
        # LLVM's name for it takes other types in each version; the assembler's does not change.
        kind = ir.FunctionType(WHOLE, [WHOLE] * 3)
        name = "vpdpbusd" if LANES == 16 else "{vex} vpdpbusd"
        code = ir.InlineAsm(kind, f"{name} $3, $2, $0", "=v,0,v,v", side_effect=False)
        return self.builder.call(code, [total, seen, weight])

    def _plus(self, left: Any, right: Any) -> Any:
        return self.builder.add(left, right)

    def _as_float(self, value: Any) -> Any:
        return self.builder.sitofp(value, REGISTER)

    def _addends(self, addresses: list[Any], *more: Any) -> list[Any]:
        builder = self.builder
        _, shift, factor = more
        bytes_, floats, joined = self._blocks("bytes", "floats", "joined")
        found = []
        builder.cbranch(builder.icmp_signed(">=", shift, ir.Constant(LONG, 0)), bytes_, floats)
        builder.position_at_end(bytes_)
        places = splat_of(builder, builder.trunc(shift, INT))
        for address in addresses:
            bits = builder.lshr(load_from(builder, address, WHOLE), places)
            levels = builder.and_(bits, ir.Constant(WHOLE, [255] * LANES))
            found.append(builder.fmul(builder.sitofp(levels, REGISTER), splat_of(builder, factor)))
        builder.branch(joined)
        builder.position_at_end(floats)
        others = [builder.fmul(load_from(builder, one), splat_of(builder, factor)) for one in addresses]
        builder.branch(joined)
        builder.position_at_end(joined)
        return self._merged((found, bytes_), (others, floats))

    def _stored(self, values: list[Any], addresses: list[Any], *more: Any) -> None:
        builder, shift = self.builder, more[0]
        bytes_, floats, stored = self._blocks("bytes", "floats", "stored")
        builder.cbranch(builder.icmp_signed(">=", shift, ir.Constant(LONG, 0)), bytes_, floats)
        builder.position_at_end(bytes_)
        places = splat_of(builder, builder.trunc(shift, INT))
        others = builder.not_(builder.shl(ir.Constant(WHOLE, [255] * LANES), places))
        for value, address in zip(values, addresses, strict=True):
            level = builder.shl(builder.fptosi(call(builder, "rint", value), WHOLE), places)
            before = builder.and_(load_from(builder, address, WHOLE), others)
            store_to(builder, builder.or_(before, level), address)
        builder.branch(stored)
        builder.position_at_end(floats)
        super()._stored(values, addresses)
        builder.branch(stored)
        builder.position_at_end(stored)


class _WordTile(_Shape):
    """Writes the code for one shape of tile, of 16-bit numbers: weights are ±1."""

    size_of_weight = 4

    def write(
        self,
        stream: Any,
        plus: Any,
        minus: Any,
        source: Any,
        source_pitch: Any,
        scratch: Any,
        start: Any,
        *,
        end: Any,
    ) -> None:
        """Write the whole of it, from the builder's block to the block `end`."""
        builder = self.builder
        begin, resume, summing = self._blocks("begin", "resume", "summing")
        rows = self._rows(source, source_pitch)
        builder.cbranch(builder.icmp_signed(">=", start, ir.Constant(LONG, 0)), begin, resume)

        builder.position_at_end(begin)
        number = builder.trunc(start, WORDS.element)
        nothing = ir.Constant(WORDS, ir.Undefined)
        single = builder.insert_element(nothing, number, ir.Constant(INT, 0))
        zeros = ir.Constant(ir.VectorType(INT, 2 * LANES), [0] * (2 * LANES))
        first = [builder.shuffle_vector(single, nothing, zeros)] * self.size
        builder.branch(summing)

        builder.position_at_end(resume)
        kept = [load_from(builder, address, WORDS) for address in self._line(scratch)]
        builder.branch(summing)

        builder.position_at_end(summing)
        sums = self._merged((first, begin), (kept, resume))
        self.sign = "add"
        sums = self._loop(stream, plus, rows, sums, 1)
        stream = builder.add(stream, builder.mul(plus, ir.Constant(LONG, self.size_of_weight)))
        self.sign = "sub"
        sums = self._loop(stream, minus, rows, sums, 1)
        for value, address in zip(sums, self._line(scratch), strict=True):
            store_to(builder, value, address)
        builder.branch(end)

    def _weight(self, position: Any, rows: list[Any], sums: list[Any]) -> list[Any]:
        change = getattr(self.builder, self.sign)
        seen = self._seen(position, rows, WORDS)
        return [change(total, one) for total, one in zip(sums, seen, strict=True)]
