"""Packing of one panel, and the way back for a tile that sticks out of C; both for any strides.

A panel holds `width` rows of A (or columns of B) over a block of k. Its layout is [k / unit][width][unit]: `unit` neighbours in k lie
together where the micro-kernel's instruction sums over k by itself (dot products, matrix tiles). What is missing at the edges is zero,
so that micro-kernels know whole panels only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from flopbench_kernels.gemm_numba.vector_ir import (
    FLOAT,
    I8,
    I16,
    I32,
    I64,
    concat,
    const,
    function,
    load,
    loop,
    round_up,
    shuffle,
    size_of,
    store,
    zero,
)

PACK_ARGUMENTS = ("source", "width_stride", "k_stride", "present", "k_count", "panel")
EDGE_ARGUMENTS = ("tile", "c", "c_row_stride", "c_column_stride", "rows", "columns", "accumulate")
_BLOCK_BYTES = 32  # of k, per row, that the transposing path takes at once


@dataclass(frozen=True)
class Format:
    """How elements change when they are packed: `convert(builder, value)` works on scalars and vectors alike."""

    source: ir.Type
    packed: ir.Type
    convert: Callable[[ir.IRBuilder, ir.Value], ir.Value]


def _like(value: ir.Value, element: ir.Type) -> ir.Type:
    """`element`, or a vector of it if `value` is one."""
    return ir.VectorType(element, value.type.count) if isinstance(value.type, ir.VectorType) else element


def keep(element: ir.Type) -> Format:
    """Elements as they are."""
    return Format(element, element, lambda b, value: value)


def negate(element: ir.Type) -> Format:
    """Floating-point elements with the other sign."""
    return Format(element, element, lambda b, value: b.fneg(value))


def extend_float(source: ir.Type, packed: ir.Type) -> Format:
    """A wider floating-point type, exactly."""
    return Format(source, packed, lambda b, value: b.fpext(value, _like(value, packed)))


def extend_int(source: ir.Type, packed: ir.Type) -> Format:
    """A wider signed integer type."""
    return Format(source, packed, lambda b, value: b.sext(value, _like(value, packed)))


def _same(value: ir.Value, number: float | int) -> ir.Constant:
    """`number` in the type of `value`, in every lane."""
    kind = value.type
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


def bfloat_bits() -> Format:
    """bfloat16 bit patterns become FP32: they are its upper half."""

    def convert(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        wide = b.zext(value, _like(value, I32))
        return b.bitcast(b.shl(wide, _same(wide, 16)), _like(value, FLOAT))

    return Format(I16, FLOAT, convert)


def twice(source: ir.Type) -> Format:
    """16 bits, two times in one 32-bit word: x86 broadcasts such words while it loads them, shorter ones by a shuffle."""

    def convert(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        wide = b.zext(value, _like(value, I32))
        return b.or_(wide, b.shl(wide, _same(wide, 16)))

    return Format(source, I32, convert)


def half_bits() -> Format:
    """FP16 to FP32 in integer arithmetic, for processors without an instruction for it.

    Exponent and fraction move to their places in FP32, whose exponent has 112 more as its bias; scaling by 2^112 sets that right and
    makes subnormals normal. Infinity and NaN get FP32's exponent for them.
    """

    def convert(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        wide = b.zext(value, _like(value, I32))
        sign = b.shl(b.and_(wide, _same(wide, 0x8000)), _same(wide, 16))
        rest = b.and_(wide, _same(wide, 0x7FFF))
        moved = b.bitcast(b.shl(rest, _same(wide, 13)), _like(value, FLOAT))
        finite = b.bitcast(b.fmul(moved, _same(moved, 2.0**112)), wide.type)
        special = b.icmp_unsigned(">=", rest, _same(wide, 0x7C00))
        bits = b.select(special, b.or_(finite, _same(wide, 0x7F800000)), finite)
        return b.bitcast(b.or_(bits, sign), _like(value, FLOAT))

    return Format(I16, FLOAT, convert)


def flip_sign() -> Format:
    """s8 + 128 as u8: the operand of an unsigned-by-signed dot product."""

    def convert(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        return b.xor(value, _same(value, -128))

    return Format(I8, I8, convert)


def emit_pack(module: ir.Module, name: str, fmt: Format, width: int, unit: int, granule: int) -> None:
    """Add `void name(source, width_stride, k_stride, present, k_count, panel)` to `module`; strides in bytes.

    Packs `present` <= width rows and k_count columns, and zeros up to `width` and up to a multiple of `granule` in k.
    """
    b, (source, width_stride, k_stride, present, k_count, panel) = function(module, name, PACK_ARGUMENTS)
    element = size_of(fmt.source)
    whole = b.icmp_signed("==", present, const(width))
    along_width, along_k, other, strided, rest = (
        b.append_basic_block(n) for n in ("along_width", "along_k", "other", "strided", "rest")
    )
    b.cbranch(b.and_(whole, b.icmp_signed("==", width_stride, const(element))), along_width, other)
    b.position_at_end(other)
    b.cbranch(b.and_(whole, b.icmp_signed("==", k_stride, const(element))), along_k, strided)

    b.position_at_end(along_width)
    width_done = b.and_(k_count, const(-unit))
    _copy_along_width(b, fmt, width, unit, source, k_stride, width_done, panel)
    width_end = b.block
    b.branch(rest)

    b.position_at_end(along_k)
    at_once = unit * max(1, _BLOCK_BYTES // (unit * size_of(fmt.packed)))
    k_done = b.and_(k_count, const(-at_once))
    _transpose_along_k(b, fmt, width, unit, at_once, source, width_stride, k_done, panel)
    k_end = b.block
    b.branch(rest)

    b.position_at_end(strided)
    b.branch(rest)

    b.position_at_end(rest)
    begin = b.phi(I64)
    begin.add_incoming(width_done, width_end)
    begin.add_incoming(k_done, k_end)
    begin.add_incoming(const(0), strided)
    _copy_strided(b, fmt, width, unit, granule, source, (width_stride, k_stride), present, begin, k_count, panel)
    b.ret_void()


def _copy_along_width(b, fmt, width, unit, source, k_stride, k_stop, panel) -> None:
    """The panel's rows are neighbours in memory: load vectors of them, interleave `unit` of them."""
    row = ir.VectorType(fmt.source, width)
    packed = size_of(fmt.packed)
    with loop(b, const(0), k_stop, unit, "k") as k:
        vectors = []
        for u in range(unit):
            place = b.add(source, b.mul(b.add(k, const(u)), k_stride))
            vectors.append(fmt.convert(b, load(b, place, row, size_of(fmt.source))))
        joined = vectors[0]
        if unit > 1:
            joined = concat(b, vectors)
            joined = shuffle(b, joined, joined, [u * width + i for i in range(width) for u in range(unit)])
        store(b, joined, b.add(panel, b.mul(k, const(width * packed))), packed)


def _transpose_along_k(b, fmt, width, unit, at_once, source, width_stride, k_stop, panel) -> None:
    """Each of the panel's rows is contiguous in k: load a block of k from every row, store it unit by unit."""
    packed = size_of(fmt.packed)
    units = at_once // unit
    block = ir.VectorType(fmt.source, at_once)
    with loop(b, const(0), k_stop, at_once, "k") as k:
        rows = []
        place = b.add(source, b.mul(k, const(size_of(fmt.source))))
        for _ in range(width):
            rows.append(fmt.convert(b, load(b, place, block, size_of(fmt.source))))
            place = b.add(place, width_stride)
        target = b.add(panel, b.mul(k, const(width * packed)))
        if units == 1:
            for i, value in enumerate(rows):
                store(b, value, b.add(target, const(i * unit * packed)), packed)
        else:
            _store_units(b, rows, unit, packed, target)


def _store_units(b, rows, unit, packed, target) -> None:
    """rows[i] holds the units of row i one after the other; the panel wants unit 0 of all rows, then unit 1 of all rows."""
    if unit > 1:
        word = ir.IntType(8 * unit * packed)  # a unit moves as one machine word
        rows = [b.bitcast(value, ir.VectorType(word, value.type.count // unit)) for value in rows]
    units = rows[0].type.count
    for i in range(0, len(rows), 2):
        pair = rows[i : i + 2]
        for u in range(units):
            value = shuffle(b, pair[0], pair[-1], [u] if len(pair) == 1 else [u, units + u])
            store(b, value, b.add(target, const((u * len(rows) + i) * unit * packed)), packed)


def _copy_strided(b, fmt, width, unit, granule, source, strides, present, k_start, k_count, panel) -> None:
    """Any strides, one element at a time, and the zeros at the edges."""
    width_stride, k_stride = strides
    packed = size_of(fmt.packed)
    with (
        loop(b, k_start, round_up(b, k_count, granule), unit, "k") as k0,
        loop(b, const(0), const(width), 1, "i") as i,
        loop(b, const(0), const(unit), 1, "u") as u,
    ):
        k = b.add(k0, u)
        slot = b.add(b.mul(k0, const(width)), b.add(b.mul(i, const(unit)), u))
        target = b.add(panel, b.mul(slot, const(packed)))
        there = b.and_(b.icmp_signed("<", k, k_count), b.icmp_signed("<", i, present))
        with b.if_else(there) as (inside, outside):
            with inside:
                place = b.add(source, b.add(b.mul(i, width_stride), b.mul(k, k_stride)))
                store(b, fmt.convert(b, load(b, place, fmt.source, size_of(fmt.source))), target, packed)
            with outside:
                store(b, zero(fmt.packed), target, packed)


def emit_edge(module: ir.Module, name: str, element: ir.Type, n_r: int) -> None:
    """Add `void name(tile, c, c_row_stride, c_column_stride, rows, columns, accumulate)`: a part of a dense tile goes into C."""
    b, (tile, c, row_stride, column_stride, rows, columns, accumulate) = function(module, name, EDGE_ARGUMENTS)
    size = size_of(element)
    plus = b.add if isinstance(element, ir.IntType) else b.fadd
    adding = b.icmp_signed("!=", accumulate, const(0))
    with loop(b, const(0), rows, 1, "i") as i, loop(b, const(0), columns, 1, "j") as j:
        value = load(b, b.add(tile, b.mul(b.add(b.mul(i, const(n_r)), j), const(size))), element, size)
        place = b.add(c, b.add(b.mul(i, row_stride), b.mul(j, column_stride)))
        with b.if_else(adding) as (add, replace):
            with add:
                store(b, plus(load(b, place, element, size), value), place, size)
            with replace:
                store(b, value, place, size)
    b.ret_void()
