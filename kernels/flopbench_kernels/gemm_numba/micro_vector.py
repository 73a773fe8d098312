"""The micro-kernel of vector code, for any vector length and any instruction that adds products to a vector of sums.

For each unit of k: n_v vectors of the B panel are loaded, each of the m_r units of the A panel is broadcast, and each of the m_r x n_v
sums takes one `combine`. The tile of C stays in registers for the whole panel: m_r x n_v + n_v + 1 registers must exist.

Each step of k asks for one row of the tile of C, so that C is there at the end and the requests never stand in the way of the panels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from flopbench_kernels.gemm_numba.vector_ir import (
    I8,
    I32,
    I64,
    at,
    const,
    function,
    load,
    multiply_add,
    prefetch,
    size_of,
    splat,
    store,
    zero,
)

#: void micro(a, b, c, c_row_bytes, steps, accumulate, tail, ahead): the arguments of every micro-kernel; a step is `granule` of k.
#: From `ahead` on a cache line is asked for in each step, where the micro-kernel can: a slice of the panel of B that comes next.
ARGUMENTS = ("a", "b", "c", "c_row_bytes", "steps", "accumulate", "tail", "ahead")
_LINE = 64

#: combine(builder, sums, unit of A in all lanes, vector of B) -> sums
Combine = Callable[[ir.IRBuilder, ir.Value, ir.Value, ir.Value], ir.Value]


@dataclass(frozen=True)
class Tile:
    """m_r rows of n_v vectors; `unit` is the type of a unit of k in the panels, `sum` that of one sum, `result` that of C.

    `word` is the type that is broadcast from the panel of A, where that is not `unit` but several copies of it.
    """

    m_r: int
    n_v: int
    lanes: int
    unit: ir.Type
    sum: ir.Type
    result: ir.Type
    unroll: int
    word: ir.Type | None = None

    @property
    def n_r(self) -> int:
        return self.n_v * self.lanes


def fma(b: ir.IRBuilder, sums: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    """One floating-point FMA a lane."""
    return multiply_add(b, x, y, sums)


def multiply_add_s16(b: ir.IRBuilder, sums: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    """s16 x s16 added to s32, one product a lane: what any processor can do."""
    return b.add(sums, b.mul(b.sext(x, sums.type), b.sext(y, sums.type)))


def emit(
    module: ir.Module, tile: Tile, combine: Combine, sums_from_tail: bool = False, asks_ahead: bool = False
) -> None:
    """Add `micro` to `module`. With `sums_from_tail` the sums of row i start from integer i at `tail` instead of zero.

    With `asks_ahead` each step asks for a line of the slice at `ahead`; without, that argument is ignored.
    """
    b, (pa, pb, pc, row_bytes, steps, accumulate, tail, ahead) = function(module, "micro", ARGUMENTS)
    vector = ir.VectorType(tile.unit, tile.lanes)
    sum_vector = ir.VectorType(tile.sum, tile.lanes)
    size = size_of(tile.unit)
    word = tile.word or tile.unit
    word_size = size_of(word)
    entry = b.block
    first = [zero(sum_vector)] * tile.m_r
    if sums_from_tail:
        first = [splat(b, load(b, at(b, tail, 4 * i), I32, 4), tile.lanes) for i in range(tile.m_r)]

    body = b.append_basic_block("k.body")
    done = b.append_basic_block("k.done")
    b.branch(body)
    b.position_at_end(body)
    step, qa, qb, row = b.phi(I64), b.phi(I64), b.phi(I64), b.phi(I64)
    asked = b.phi(I64) if asks_ahead else None
    phis = [[b.phi(sum_vector) for _ in range(tile.n_v)] for _ in range(tile.m_r)]
    sums: list[list[ir.Value]] = [list(row) for row in phis]
    for line in range(0, tile.n_r * size_of(tile.result), _LINE):
        prefetch(b, at(b, row, line), write=True)
    if asked is not None:
        prefetch(b, asked, write=False)
    for u in range(tile.unroll):
        columns = [load(b, at(b, qb, (u * tile.n_v + v) * tile.lanes * size), vector, 64) for v in range(tile.n_v)]
        for i in range(tile.m_r):
            unit = load(b, at(b, qa, (u * tile.m_r + i) * word_size), word, word_size)
            unit = splat(b, unit, tile.lanes * size // word_size)
            if word is not tile.unit:
                unit = b.bitcast(unit, vector)
            for v in range(tile.n_v):
                sums[i][v] = combine(b, sums[i][v], unit, columns[v])
    following = b.add(step, const(1))
    _carry(step, entry, const(0), body, following)
    _carry(qa, entry, pa, body, at(b, qa, tile.unroll * tile.m_r * word_size))
    _carry(qb, entry, pb, body, at(b, qb, tile.unroll * tile.n_r * size))
    below = b.icmp_signed("<", following, const(tile.m_r))
    _carry(row, entry, pc, body, b.select(below, b.add(row, row_bytes), row))
    if asked is not None:
        _carry(asked, entry, ahead, body, at(b, asked, _LINE))
    for i in range(tile.m_r):
        for v in range(tile.n_v):
            _carry(phis[i][v], entry, first[i], body, sums[i][v])
    b.cbranch(b.icmp_signed("<", following, steps), body, done)
    b.position_at_end(done)
    if tile.sum != tile.result:
        wide = ir.VectorType(tile.result, tile.lanes)
        sums = [[b.fpext(value, wide) for value in row] for row in sums]
    rows = [pc]
    for _ in range(tile.m_r - 1):
        rows.append(b.add(rows[-1], row_bytes))
    _write(b, sums, rows, accumulate)


def emit_tail(module: ir.Module, m_r: int, unit: int) -> None:
    """Add `void finish_a(panel, k_padded, tail)`: -128 times the sum of each row of a panel of s8, as s32.

    With u = s + 128, s x a = u x a - 128 a: this is what a dot product of u8 by s8 has too much.
    """
    b, (panel, k_padded, tail) = function(module, "finish_a", ("panel", "k_padded", "tail"))
    entry = b.block
    row_units = ir.VectorType(I8, m_r * unit)
    wide = ir.VectorType(I32, m_r * unit)
    body, done = b.append_basic_block("body"), b.append_basic_block("done")
    b.branch(body)
    b.position_at_end(body)
    k, sums = b.phi(I64), b.phi(wide)
    values = load(b, b.add(panel, b.mul(k, const(m_r))), row_units, 1)
    following, more = b.add(k, const(unit)), b.add(sums, b.sext(values, wide))
    _carry(k, entry, const(0), body, following)
    _carry(sums, entry, zero(wide), body, more)
    b.cbranch(b.icmp_signed("<", following, k_padded), body, done)
    b.position_at_end(done)
    for i in range(m_r):
        total: ir.Value = const(0, I32)
        for u in range(unit):
            total = b.add(total, b.extract_element(more, const(i * unit + u, I32)))
        store(b, b.mul(total, const(-128, I32)), at(b, tail, 4 * i), 4)
    b.ret_void()


def _carry(phi: ir.PhiInstr, entry: ir.Block, start: ir.Value, body: ir.Block, value: ir.Value) -> None:
    phi.add_incoming(start, entry)
    phi.add_incoming(value, body)


def _write(b: ir.IRBuilder, sums: list[list[ir.Value]], rows: list[ir.Value], accumulate: ir.Value) -> None:
    """Store the sums into the rows of C, or add them to what is there, and return."""
    kind = sums[0][0].type
    size = size_of(kind.element)
    plus = b.add if isinstance(kind.element, ir.IntType) else b.fadd
    adding, setting = b.append_basic_block("c.add"), b.append_basic_block("c.set")
    b.cbranch(b.icmp_signed("!=", accumulate, const(0)), adding, setting)
    for block in (adding, setting):
        b.position_at_end(block)
        for row, values in zip(rows, sums, strict=True):
            for v, value in enumerate(values):
                place = at(b, row, v * kind.count * size)
                store(b, plus(load(b, place, kind, size), value) if block is adding else value, place, size)
        b.ret_void()
