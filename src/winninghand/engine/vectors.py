"""Vectors of the processor inside Numba: many operations of a few lines each, for which it has no words.

Numba compiles loops over numbers and leaves it to LLVM to find vectors in them. LLVM finds them in simple
loops, but never keeps a tile of accumulators in registers: arrays stay in memory, and that costs half of the
speed. Here a vector is a type of its own. A variable of it is a register, and the functions below are single
instructions; `tiles.py` writes the heart of the engine with the same means.

LLVM makes the instructions of the machine from it: AVX-512, AVX2 or NEON. Nothing here names a processor,
but for the number of lanes and of registers.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic, models, register_model


def _features() -> set[str]:
    """Return the features of the machine that Numba compiles for, as LLVM names them."""
    features = getattr(config, "CPU_FEATURES", None)
    if features is None:
        features = llvm.get_host_cpu_features().flatten()
    return {feature[1:] for feature in features.split(",") if feature.startswith("+")}


_FEATURES = _features()
LANES = 16 if "avx512f" in _FEATURES else 8 if "avx" in _FEATURES else 4
"""Numbers in one vector."""
BYTES = 4 * LANES
"""Bytes of one vector."""
REGISTERS = 32 if LANES == 16 or platform.machine().lower() in ("arm64", "aarch64") else 16
"""Vector registers of the machine. A tile takes half of them, so that operands have room."""

DOTS_OF_BYTES = "avx512vnni" in _FEATURES if LANES == 16 else "avxvnni" in _FEATURES
"""Whether one instruction multiplies four bytes in each lane and adds the products up (VNNI)."""

llvm.initialize_native_asmparser()  # for that instruction

INT, LONG, FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
REGISTER = ir.VectorType(FLOAT, LANES)
WHOLE = ir.VectorType(INT, LANES)
"""A register of int32, or of four bytes per lane."""
WORDS = ir.VectorType(ir.IntType(16), 2 * LANES)
"""A register of 16-bit numbers."""


def instruction(function: Callable[..., Any]) -> Any:
    """Make Numba put what a function generates where it is called.

    The function gets the types of the arguments, and returns the signature and what writes LLVM's code.
    """
    return intrinsic(function)


class Vector(types.Type):
    """The type of `LANES` float32 in one register."""

    def __init__(self) -> None:
        super().__init__(name=f"Vector{LANES}")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, REGISTER)  # type: ignore[no-untyped-call]


VECTOR = Vector()


def pointer(builder: Any, address: Any, kind: Any) -> Any:
    """Write LLVM's code that makes an address a pointer."""
    return builder.inttoptr(address, kind.as_pointer())


def load_from(builder: Any, address: Any, kind: Any = REGISTER, align: int = BYTES) -> Any:
    """Write the code of a load."""
    return builder.load(pointer(builder, address, kind), align=align)


def store_to(builder: Any, value: Any, address: Any, align: int = BYTES) -> None:
    """Write the code of a store."""
    builder.store(value, pointer(builder, address, value.type), align=align)


def splat_of(builder: Any, number: Any) -> Any:
    """Return a vector with the same number, float32 or int32, in all lanes."""
    nothing = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    single = builder.insert_element(nothing, number, ir.Constant(INT, 0))
    return builder.shuffle_vector(single, nothing, ir.Constant(WHOLE, [0] * LANES))


def call(builder: Any, name: str, *vectors: Any) -> Any:
    """Call LLVM's function of this name for vectors."""
    kind = ir.FunctionType(REGISTER, [REGISTER] * len(vectors))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, vectors)


def larger_of(builder: Any, left: Any, right: Any) -> Any:
    """Return the larger numbers, of a NaN on the left the NaN; one instruction."""
    return builder.select(builder.fcmp_ordered("<", left, right), right, left)


def smaller_of(builder: Any, left: Any, right: Any) -> Any:
    """Return the smaller numbers, of a NaN on the left the NaN; one instruction."""
    return builder.select(builder.fcmp_ordered(">", left, right), right, left)


@instruction
def load(context: Any, address: Any) -> Any:
    """Return the vector at an address that is a multiple of `BYTES`."""
    return VECTOR(address), lambda _, builder, __, given: load_from(builder, given[0])


@instruction
def load_anywhere(context: Any, address: Any) -> Any:
    """Return the vector from any address on."""
    return VECTOR(address), lambda _, builder, __, given: load_from(builder, given[0], align=2)


@instruction
def store(context: Any, value: Any, address: Any) -> Any:
    """Write a vector to an address that is a multiple of `BYTES`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        store_to(builder, given[0], given[1])
        return context.get_dummy_value()

    return types.void(value, address), generate


@instruction
def splat(context: Any, number: Any) -> Any:
    """Return a vector of one float32, again and again."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        number = context.cast(builder, given[0], signature.args[0], types.float32)
        return splat_of(builder, number)

    return VECTOR(number), generate


@instruction
def add(context: Any, left: Any, right: Any) -> Any:
    """Return left + right."""
    return VECTOR(left, right), lambda _, builder, __, given: builder.fadd(*given)


@instruction
def subtract(context: Any, left: Any, right: Any) -> Any:
    """Return left − right."""
    return VECTOR(left, right), lambda _, builder, __, given: builder.fsub(*given)


@instruction
def multiply(context: Any, left: Any, right: Any) -> Any:
    """Return left × right."""
    return VECTOR(left, right), lambda _, builder, __, given: builder.fmul(*given)


@instruction
def divide(context: Any, left: Any, right: Any) -> Any:
    """Return left / right."""
    return VECTOR(left, right), lambda _, builder, __, given: builder.fdiv(*given)


@instruction
def multiply_add(context: Any, left: Any, right: Any, addend: Any) -> Any:
    """Return left × right + addend, rounded once where the machine can."""
    return VECTOR(left, right, addend), lambda _, builder, __, given: call(builder, "fmuladd", *given)


@instruction
def larger(context: Any, left: Any, right: Any) -> Any:
    """Return the larger numbers; a NaN on the left stays."""
    return VECTOR(left, right), lambda _, builder, __, given: larger_of(builder, *given)


@instruction
def larger_bytes(context: Any, left: Any, right: Any) -> Any:
    """Return the larger of each lane's four bytes."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        left, right = (builder.bitcast(one, ir.VectorType(ir.IntType(8), BYTES)) for one in given)
        chosen = builder.select(builder.icmp_unsigned(">", left, right), left, right)
        return builder.bitcast(chosen, REGISTER)

    return VECTOR(left, right), generate


@instruction
def larger_words(context: Any, left: Any, right: Any) -> Any:
    """Return the larger of each lane's two 16-bit numbers."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        left, right = (builder.bitcast(one, WORDS) for one in given)
        return builder.bitcast(builder.select(builder.icmp_unsigned(">", left, right), left, right), REGISTER)

    return VECTOR(left, right), generate


@instruction
def smaller(context: Any, left: Any, right: Any) -> Any:
    """Return the smaller numbers; a NaN on the left stays."""
    return VECTOR(left, right), lambda _, builder, __, given: smaller_of(builder, *given)


@instruction
def magnitude(context: Any, value: Any) -> Any:
    """Return the numbers without their signs."""
    return VECTOR(value), lambda _, builder, __, given: call(builder, "fabs", *given)


@instruction
def root(context: Any, value: Any) -> Any:
    """Return the square roots."""
    return VECTOR(value), lambda _, builder, __, given: call(builder, "sqrt", *given)


@instruction
def rounded(context: Any, value: Any) -> Any:
    """Return the nearest whole numbers."""
    return VECTOR(value), lambda _, builder, __, given: call(builder, "rint", *given)


@instruction
def with_sign(context: Any, value: Any, sign: Any) -> Any:
    """Return the magnitudes of one vector with the signs of another."""
    return VECTOR(value, sign), lambda _, builder, __, given: call(builder, "copysign", *given)


@instruction
def power_of_two(context: Any, exponents: Any) -> Any:
    """Return 2 to whole numbers of −126 .. 127: they become the exponent's bits."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        bits = builder.fptosi(given[0], WHOLE)
        bits = builder.add(bits, ir.Constant(WHOLE, [127] * LANES))
        return builder.bitcast(builder.shl(bits, ir.Constant(WHOLE, [23] * LANES)), REGISTER)

    return VECTOR(exponents), generate


@instruction
def chosen(context: Any, mask: Any, value: Any, other: Any) -> Any:
    """Return the bits of `value` where those of `mask` are 1, else those of `other`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kept, value, other = (builder.bitcast(one, WHOLE) for one in given)
        joined = builder.or_(builder.and_(kept, value), builder.and_(builder.not_(kept), other))
        return builder.bitcast(joined, REGISTER)

    return VECTOR(mask, value, other), generate


@instruction
def read_float(context: Any, address: Any) -> Any:
    """Return the float32 at an address."""
    return types.float32(address), lambda _, builder, __, given: load_from(builder, given[0], FLOAT, 4)


@instruction
def read_int(context: Any, address: Any) -> Any:
    """Return the int32 at an address, as int64."""
    return types.int64(address), lambda _, builder, __, given: builder.sext(
        load_from(builder, given[0], INT, 4), LONG
    )


@instruction
def read_long(context: Any, address: Any) -> Any:
    """Return the int64 at an address."""
    return types.int64(address), lambda _, builder, __, given: load_from(builder, given[0], LONG, 8)


@instruction
def read_byte(context: Any, address: Any) -> Any:
    """Return the byte at an address as float32."""
    return _read_whole(address, 8)


@instruction
def read_word(context: Any, address: Any) -> Any:
    """Return the 16-bit number at an address as float32."""
    return _read_whole(address, 16)


@instruction
def write_byte(context: Any, value: Any, address: Any) -> Any:
    """Write a whole float32 of 0 .. 255 to an address as a byte."""
    return _write_whole(value, address, 8)


@instruction
def write_word(context: Any, value: Any, address: Any) -> Any:
    """Write a whole float32 of 0 .. 255 to an address as a 16-bit number."""
    return _write_whole(value, address, 16)


def _read_whole(address: Any, bits: int) -> Any:
    return types.float32(address), lambda _, builder, __, given: builder.uitofp(
        load_from(builder, given[0], ir.IntType(bits), bits // 8), FLOAT
    )


def _write_whole(value: Any, address: Any, bits: int) -> Any:
    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        number = context.cast(builder, given[0], signature.args[0], types.float32)
        store_to(builder, builder.fptoui(number, ir.IntType(bits)), given[1], bits // 8)
        return context.get_dummy_value()

    return types.void(value, address), generate


@instruction
def together(context: Any, first: Any, second: Any, third: Any, fourth: Any) -> Any:
    """Return four vectors of whole numbers 0 .. 255 as the bytes of one vector."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        joined = ir.Constant(WHOLE, [0] * LANES)
        for index, value in enumerate(given):
            bits = builder.shl(builder.fptosi(value, WHOLE), ir.Constant(WHOLE, [8 * index] * LANES))
            joined = builder.or_(joined, bits)
        return builder.bitcast(joined, REGISTER)

    return VECTOR(first, second, third, fourth), generate


@instruction
def even_words(context: Any, words: Any) -> Any:
    """Return the 16-bit numbers of even places as the bits of int32."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kept = builder.and_(builder.bitcast(given[0], WHOLE), ir.Constant(WHOLE, [65535] * LANES))
        return builder.bitcast(kept, REGISTER)

    return VECTOR(words), generate


@instruction
def odd_words(context: Any, words: Any) -> Any:
    """Return the 16-bit numbers of odd places as the bits of int32."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        moved = builder.lshr(builder.bitcast(given[0], WHOLE), ir.Constant(WHOLE, [16] * LANES))
        return builder.bitcast(moved, REGISTER)

    return VECTOR(words), generate


@instruction
def words_of(context: Any, even: Any, odd: Any) -> Any:
    """Round two vectors of numbers of 0 .. 255 to the 16-bit numbers of even and odd places."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        # Numbers of 2 to 23 and more are whole: adding one rounds, and the lowest bits are the number's.
        large = ir.Constant(REGISTER, [1.5 * 2**23] * LANES)
        even, odd = (builder.bitcast(builder.fadd(value, large), WHOLE) for value in given)
        even = builder.and_(even, ir.Constant(WHOLE, [65535] * LANES))
        odd = builder.shl(odd, ir.Constant(WHOLE, [16] * LANES))
        return builder.bitcast(builder.or_(even, odd), REGISTER)

    return VECTOR(even, odd), generate


@instruction
def add_whole(context: Any, left: Any, right: Any) -> Any:
    """Return the bits of the sums of int32 whose bits are given."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        left, right = (builder.bitcast(one, WHOLE) for one in given)
        return builder.bitcast(builder.add(left, right), REGISTER)

    return VECTOR(left, right), generate


@instruction
def float_of_whole(context: Any, bits: Any) -> Any:
    """Return the float32 of int32 whose bits are given."""
    return VECTOR(bits), lambda _, builder, __, given: builder.sitofp(
        builder.bitcast(given[0], WHOLE), REGISTER
    )


@instruction
def write_float(context: Any, value: Any, address: Any) -> Any:
    """Write a float32 to an address."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        store_to(builder, context.cast(builder, given[0], signature.args[0], types.float32), given[1], 4)
        return context.get_dummy_value()

    return types.void(value, address), generate


@instruction
def float_of_bits(context: Any, bits: Any) -> Any:
    """Return the float32 whose bits are the lower half of an int64."""
    return types.float32(bits), lambda _, builder, __, given: builder.bitcast(
        builder.trunc(given[0], INT), FLOAT
    )


@instruction
def count_arrival(context: Any, address: Any) -> Any:
    """Add 1 to the int64 at an address, as one step that no other thread can cut in two."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        builder.atomic_rmw("add", pointer(builder, given[0], LONG), ir.Constant(LONG, 1), "seq_cst")
        return context.get_dummy_value()

    return types.void(address), generate


@instruction
def arrivals(context: Any, address: Any) -> Any:
    """Return the int64 that other threads count up at an address."""
    return types.int64(address), lambda _, builder, __, given: builder.load_atomic(
        pointer(builder, given[0], LONG), "seq_cst", 8
    )


@instruction
def address_of_longs(context: Any, address: Any) -> Any:
    """Return an address as a pointer to int64, of which `numba.carray` makes an array."""
    return types.CPointer(types.int64)(types.int64), lambda _, builder, __, given: pointer(
        builder, given[0], LONG
    )


@instruction
def give_way(context: Any) -> Any:
    """Let other threads have the core for a moment."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        if sys.platform == "win32":
            name, result = "SwitchToThread", INT
        else:
            name, result = "sched_yield", INT
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, []), name)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate
