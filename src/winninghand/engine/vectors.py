"""Vectors of the processor inside Numba: the few operations that Numba itself has no words for.

Numba compiles loops over numbers and leaves it to LLVM to find vectors in them. LLVM finds them in simple
loops, but never keeps a tile of accumulators in registers: arrays stay in memory, and that costs half of the
speed. Here a vector is a type of its own. A variable of it is a register, and the functions below are single
instructions. `tile`, the heart of the engine, is written in LLVM's own language for the same reason.

LLVM makes the instructions of the machine from it: AVX-512, AVX2 or NEON. Nothing here names a processor,
but for the number of lanes and of registers.
"""

from __future__ import annotations

import platform
import sys
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic, models, register_model


def _lanes() -> int:
    """Return how many float32 a register of the machine that Numba compiles for holds."""
    features = config.CPU_FEATURES  # type: ignore[attr-defined]
    if features is None:
        features = llvm.get_host_cpu_features().flatten()
    if "+avx512f" in features.split(","):
        return 16
    return 8 if "+avx" in features.split(",") else 4


LANES = _lanes()
"""Numbers in one vector."""
BYTES = 4 * LANES
"""Bytes of one vector."""
REGISTERS = 32 if LANES == 16 or platform.machine().lower() in ("arm64", "aarch64") else 16
"""Vector registers of the machine. A tile takes half of them, so that operands have room."""

_BYTE, _INT, _LONG, _FLOAT = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)


class Vector(types.Type):  # type: ignore[misc]
    """The type of `LANES` float32 in one register."""

    def __init__(self) -> None:
        super().__init__(name=f"Vector{LANES}")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:  # noqa: ANN401 (Numba has no types)
        super().__init__(manager, kind, _VECTOR)


VECTOR = Vector()
_WHOLE = ir.Constant(_VECTOR, ir.Undefined)


def _pointer(builder: Any, address: Any, kind: Any) -> Any:  # noqa: ANN401
    return builder.inttoptr(address, kind.as_pointer())


def _load(builder: Any, address: Any, kind: Any = _VECTOR, align: int = BYTES) -> Any:  # noqa: ANN401
    return builder.load(_pointer(builder, address, kind), align=align)


def _store(builder: Any, value: Any, address: Any, align: int = BYTES) -> None:  # noqa: ANN401
    builder.store(value, _pointer(builder, address, value.type), align=align)


def _splat(builder: Any, number: Any) -> Any:  # noqa: ANN401
    """Return a vector with the same number in all lanes."""
    single = builder.insert_element(_WHOLE, number, ir.Constant(_INT, 0))
    return builder.shuffle_vector(single, _WHOLE, ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES))


def _call(builder: Any, name: str, *vectors: Any) -> Any:  # noqa: ANN401
    """Call LLVM's function of this name for vectors."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(vectors))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, vectors)


def _larger(builder: Any, left: Any, right: Any) -> Any:  # noqa: ANN401
    """Return the larger numbers, of a NaN on the left the NaN; one instruction."""
    return builder.select(builder.fcmp_ordered("<", left, right), right, left)


def _smaller(builder: Any, left: Any, right: Any) -> Any:  # noqa: ANN401
    return builder.select(builder.fcmp_ordered(">", left, right), right, left)


@intrinsic
def load(context, address):  # type: ignore[no-untyped-def]
    """Return the vector at an address that is a multiple of `BYTES`."""
    return VECTOR(address), lambda _, builder, __, given: _load(builder, given[0])


@intrinsic
def load_anywhere(context, address):  # type: ignore[no-untyped-def]
    """Return the `LANES` numbers from any address on."""
    return VECTOR(address), lambda _, builder, __, given: _load(builder, given[0], align=4)


@intrinsic
def store(context, value, address):  # type: ignore[no-untyped-def]
    """Write a vector to an address that is a multiple of `BYTES`."""

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        _store(builder, given[0], given[1])
        return context.get_dummy_value()

    return types.void(value, address), generate


@intrinsic
def splat(context, number):  # type: ignore[no-untyped-def]
    """Return a vector of one float32, again and again."""

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        number = context.cast(builder, given[0], signature.args[0], types.float32)
        return _splat(builder, number)

    return VECTOR(number), generate


@intrinsic
def add(context, left, right):  # type: ignore[no-untyped-def]
    """Return left + right."""
    return VECTOR(left, right), lambda _, builder, __, given: builder.fadd(*given)


@intrinsic
def subtract(context, left, right):  # type: ignore[no-untyped-def]
    """Return left − right."""
    return VECTOR(left, right), lambda _, builder, __, given: builder.fsub(*given)


@intrinsic
def multiply(context, left, right):  # type: ignore[no-untyped-def]
    """Return left × right."""
    return VECTOR(left, right), lambda _, builder, __, given: builder.fmul(*given)


@intrinsic
def divide(context, left, right):  # type: ignore[no-untyped-def]
    """Return left / right."""
    return VECTOR(left, right), lambda _, builder, __, given: builder.fdiv(*given)


@intrinsic
def multiply_add(context, left, right, addend):  # type: ignore[no-untyped-def]
    """Return left × right + addend, rounded once where the machine can."""
    return VECTOR(left, right, addend), lambda _, builder, __, given: _call(builder, "fmuladd", *given)


@intrinsic
def larger(context, left, right):  # type: ignore[no-untyped-def]
    """Return the larger numbers; a NaN on the left stays."""
    return VECTOR(left, right), lambda _, builder, __, given: _larger(builder, *given)


@intrinsic
def smaller(context, left, right):  # type: ignore[no-untyped-def]
    """Return the smaller numbers; a NaN on the left stays."""
    return VECTOR(left, right), lambda _, builder, __, given: _smaller(builder, *given)


@intrinsic
def magnitude(context, value):  # type: ignore[no-untyped-def]
    """Return the numbers without their signs."""
    return VECTOR(value), lambda _, builder, __, given: _call(builder, "fabs", *given)


@intrinsic
def root(context, value):  # type: ignore[no-untyped-def]
    """Return the square roots."""
    return VECTOR(value), lambda _, builder, __, given: _call(builder, "sqrt", *given)


@intrinsic
def rounded(context, value):  # type: ignore[no-untyped-def]
    """Return the nearest whole numbers."""
    return VECTOR(value), lambda _, builder, __, given: _call(builder, "rint", *given)


@intrinsic
def with_sign(context, value, sign):  # type: ignore[no-untyped-def]
    """Return the magnitudes of one vector with the signs of another."""
    return VECTOR(value, sign), lambda _, builder, __, given: _call(builder, "copysign", *given)


@intrinsic
def power_of_two(context, exponents):  # type: ignore[no-untyped-def]
    """Return 2 to whole numbers of −126 .. 127: they become the exponent's bits."""

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        whole = ir.VectorType(_INT, LANES)
        bits = builder.fptosi(given[0], whole)
        bits = builder.add(bits, ir.Constant(whole, [127] * LANES))
        return builder.bitcast(builder.shl(bits, ir.Constant(whole, [23] * LANES)), _VECTOR)

    return VECTOR(exponents), generate


@intrinsic
def chosen(context, mask, value, other):  # type: ignore[no-untyped-def]
    """Return `value` in the lanes where the vector at the address `mask` is not 0, else `other`."""

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        kept = builder.fcmp_unordered("!=", _load(builder, given[0]), zero)
        return builder.select(kept, given[1], given[2])

    return VECTOR(mask, value, other), generate


@intrinsic
def read_float(context, address):  # type: ignore[no-untyped-def]
    """Return the float32 at an address."""
    return types.float32(address), lambda _, builder, __, given: _load(builder, given[0], _FLOAT, 4)


@intrinsic
def read_int(context, address):  # type: ignore[no-untyped-def]
    """Return the int32 at an address, as int64."""
    return types.int64(address), lambda _, builder, __, given: builder.sext(
        _load(builder, given[0], _INT, 4), _LONG
    )


@intrinsic
def read_long(context, address):  # type: ignore[no-untyped-def]
    """Return the int64 at an address."""
    return types.int64(address), lambda _, builder, __, given: _load(builder, given[0], _LONG, 8)


@intrinsic
def write_float(context, value, address):  # type: ignore[no-untyped-def]
    """Write a float32 to an address."""

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        _store(builder, context.cast(builder, given[0], signature.args[0], types.float32), given[1], 4)
        return context.get_dummy_value()

    return types.void(value, address), generate


@intrinsic
def float_of_bits(context, bits):  # type: ignore[no-untyped-def]
    """Return the float32 whose bits are the lower half of an int64."""
    return types.float32(bits), lambda _, builder, __, given: builder.bitcast(
        builder.trunc(given[0], _INT), _FLOAT
    )


@intrinsic
def count_arrival(context, address):  # type: ignore[no-untyped-def]
    """Add 1 to the int64 at an address, as one step that no other thread can cut in two."""

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        builder.atomic_rmw("add", _pointer(builder, given[0], _LONG), ir.Constant(_LONG, 1), "seq_cst")
        return context.get_dummy_value()

    return types.void(address), generate


@intrinsic
def arrivals(context, address):  # type: ignore[no-untyped-def]
    """Return the int64 that other threads count up at an address."""
    return types.int64(address), lambda _, builder, __, given: builder.load_atomic(
        _pointer(builder, given[0], _LONG), "seq_cst", 8
    )


@intrinsic
def give_way(context):  # type: ignore[no-untyped-def]
    """Let other threads have the core for a moment."""

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        if sys.platform == "win32":
            name, result = "SwitchToThread", _INT
        else:
            name, result = "sched_yield", _INT
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, []), name)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic(prefer_literal=True)
def tile(  # type: ignore[no-untyped-def]
    context,
    rows,
    columns,
    step,
    stream,
    count,
    source,
    source_pitch,
    scratch,
    is_first,
    is_last,
    output,
    output_pitch,
    scale,
    bias,
    addend,
    addend_pitch,
    low,
    high,
):
    """Sum the non-zero weights `stream` over one tile of one output channel, all in registers.

    The tile is `rows` × `columns` vectors of one output channel; each has an accumulator in a register.
    A weight is 8 bytes of the stream: its float32, and how many bytes its input lies behind `source`, which
    is what the tile's first vector sees through the kernel's first weight. So one weight is a broadcast and
    `rows` × `columns` multiply-adds whose operand comes from the L1 cache: nothing else. The vectors that a
    row of the tile sees lie `step` vectors apart (the stride), its rows `source_pitch` bytes.

    Small tiles would wait for their own sums, since a multiply-add takes four cycles: several weights at a
    time have accumulators of their own then.

    Input channels come in blocks. Between blocks the sums stay at `scratch`; `is_first` begins at 0, and
    `is_last` writes min(max(scale × sum + bias + addend, low), high) to `output`. `scale` and `bias` are
    addresses of vectors, `addend` that of the tile in another value, or 0.
    """
    height, width, apart = rows.literal_value, columns.literal_value, step.literal_value
    size = height * width
    chains = max(1, 8 // size)
    long, flag, real = types.int64, types.boolean, types.float32
    signature = types.void(
        rows, columns, step, long, long, long, long, long, flag, flag, long, long, long, long, long, long, real, real
    )

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        (stream, count, source, source_pitch, scratch, is_first, is_last) = given[3:10]
        (output, output_pitch, scale, bias, addend, addend_pitch, low, high) = given[10:]
        block = {
            name: builder.append_basic_block(name)
            for name in ("resume", "start", "rest", "single", "sums", "keep", "finish", "join", "write", "end")
        }

        def number(value: int) -> Any:  # noqa: ANN401
            return ir.Constant(_LONG, value)

        def at(base: Any, pitch: Any, extra: int = BYTES) -> list[Any]:  # noqa: ANN401
            """Return the addresses of the tile's vectors."""
            found, row = [], base
            for y in range(height):
                found += [builder.add(row, number(x * extra)) if x else row for x in range(width)]
                row = builder.add(row, pitch) if y + 1 < height else row
            return found

        def weight(position: Any, sums: list[Any]) -> list[Any]:  # noqa: ANN401
            """Add the weight at a position of the stream, times what it sees, to the sums."""
            offset = builder.sext(_load(builder, position, _INT, 4), _LONG)
            factor = _splat(builder, _load(builder, builder.add(position, number(4)), _FLOAT, 4))
            seen = []
            for base in bases:
                row = builder.add(base, offset)
                seen += [_load(builder, builder.add(row, number(x * apart * BYTES))) for x in range(width)]
            return [_call(builder, "fmuladd", factor, one, total) for one, total in zip(seen, sums, strict=True)]

        def merged(*ways: tuple[list[Any], Any]) -> list[Any]:  # noqa: ANN401
            """Return the vectors that come in from one of several blocks."""
            result = []
            for index in range(len(ways[0][0])):
                phi = builder.phi(ways[0][0][index].type)
                for vectors, origin in ways:
                    phi.add_incoming(vectors[index], origin)
                result.append(phi)
            return result

        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        bases = [source]
        for _ in range(1, height):
            bases.append(builder.add(bases[-1], source_pitch))
        stop = builder.add(stream, builder.shl(count, number(3)))
        entry = builder.block
        builder.cbranch(is_first, block["start"], block["resume"])

        builder.position_at_end(block["resume"])
        kept = [_load(builder, builder.add(scratch, number(i * BYTES))) for i in range(size)]
        builder.branch(block["start"])

        builder.position_at_end(block["start"])
        first = merged(([zero] * size, entry), (kept, block["resume"])) + [zero] * (size * (chains - 1))
        if chains > 1:
            whole = builder.mul(builder.udiv(count, number(chains)), number(chains))
            stop_several = builder.add(stream, builder.shl(whole, number(3)))
            several = builder.append_basic_block("several")
            builder.cbranch(builder.icmp_unsigned("<", stream, stop_several), several, block["rest"])

            builder.position_at_end(several)
            position = builder.phi(_LONG)
            position.add_incoming(stream, block["start"])
            sums = merged((first, block["start"]))
            added = []
            for chain in range(chains):
                place = builder.add(position, number(8 * chain))
                added += weight(place, sums[chain * size : (chain + 1) * size])
            following = builder.add(position, number(8 * chains))
            position.add_incoming(following, several)
            for phi, value in zip(sums, added, strict=True):
                phi.add_incoming(value, several)
            builder.cbranch(builder.icmp_unsigned("<", following, stop_several), several, block["rest"])
        else:
            builder.branch(block["rest"])

        builder.position_at_end(block["rest"])
        if chains > 1:
            begun = merged((first, block["start"]), (added, several))
            begin = merged(([stream], block["start"]), ([following], several))[0]
            while len(begun) > size:  # add the chains up, in pairs
                half = len(begun) // 2
                begun = [builder.fadd(begun[i], begun[i + half]) for i in range(half)]
        else:
            begun, begin = first, stream
        builder.cbranch(builder.icmp_unsigned("<", begin, stop), block["single"], block["sums"])

        builder.position_at_end(block["single"])
        position = builder.phi(_LONG)
        position.add_incoming(begin, block["rest"])
        sums = merged((begun, block["rest"]))
        one_more = weight(position, sums)
        following = builder.add(position, number(8))
        position.add_incoming(following, block["single"])
        for phi, value in zip(sums, one_more, strict=True):
            phi.add_incoming(value, block["single"])
        builder.cbranch(builder.icmp_unsigned("<", following, stop), block["single"], block["sums"])

        builder.position_at_end(block["sums"])
        sums = merged((begun, block["rest"]), (one_more, block["single"]))
        builder.cbranch(is_last, block["finish"], block["keep"])

        builder.position_at_end(block["keep"])
        for i, value in enumerate(sums):
            _store(builder, value, builder.add(scratch, number(i * BYTES)))
        builder.branch(block["end"])

        builder.position_at_end(block["finish"])
        factor, shift = _load(builder, scale), _load(builder, bias)
        scaled = [_call(builder, "fmuladd", value, factor, shift) for value in sums]
        builder.cbranch(builder.icmp_unsigned("!=", addend, number(0)), block["join"], block["write"])

        builder.position_at_end(block["join"])
        others = [_load(builder, address) for address in at(addend, addend_pitch)]
        joined = [builder.fadd(value, other) for value, other in zip(scaled, others, strict=True)]
        builder.branch(block["write"])

        builder.position_at_end(block["write"])
        values = merged((scaled, block["finish"]), (joined, block["join"]))
        least, most = _splat(builder, low), _splat(builder, high)
        for value, address in zip(values, at(output, output_pitch), strict=True):
            _store(builder, _smaller(builder, _larger(builder, value, least), most), address)
        builder.branch(block["end"])

        builder.position_at_end(block["end"])
        return context.get_dummy_value()

    return signature, generate
