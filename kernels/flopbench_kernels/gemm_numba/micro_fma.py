"""The micro-kernel of floating-point FMAs, for any vector length: C tile (+)= A panel x B panel.

For each k: n_v vectors of the B panel are loaded, each of the m_r elements of the A panel is broadcast, and m_r x n_v accumulators take
one FMA each. The tile stays in registers for the whole panel, so that m_r x n_v + n_v + 1 registers must exist.
"""

from __future__ import annotations

from llvmlite import ir

from flopbench_kernels.gemm_numba.vector_ir import (
    FLOAT,
    I64,
    at,
    const,
    fma,
    function,
    load,
    prefetch,
    size_of,
    splat,
    store,
    zero,
)

#: void micro(a, b, c, c_row_bytes, k_steps, accumulate, tail): the arguments of every micro-kernel; k_steps counts `k_granule` of k.
ARGUMENTS = ("a", "b", "c", "c_row_bytes", "k_steps", "accumulate", "tail")
_LINE = 64


def emit(
    module: ir.Module, name: str, element: ir.Type, lanes: int, m_r: int, n_v: int, unroll: int, result: ir.Type
) -> None:
    """Add the micro-kernel to `module`. The C tile has `result` elements (FP32 under FP16 sums, else `element` itself)."""
    b, (pa, pb, pc, row_bytes, k_steps, accumulate, _tail) = function(module, name, ARGUMENTS)
    vector = ir.VectorType(element, lanes)
    size = size_of(element)
    entry = b.block
    rows = [pc]
    for _ in range(m_r - 1):
        rows.append(b.add(rows[-1], row_bytes))
    tile_row_bytes = n_v * lanes * size_of(result)
    for row in rows:
        for line in range(0, tile_row_bytes, _LINE):
            prefetch(b, at(b, row, line), write=True)

    body = b.append_basic_block("k.body")
    done = b.append_basic_block("k.done")
    b.branch(body)
    b.position_at_end(body)
    step = b.phi(I64)
    step.add_incoming(const(0), entry)
    qa = b.phi(I64)
    qa.add_incoming(pa, entry)
    qb = b.phi(I64)
    qb.add_incoming(pb, entry)
    phis = [[b.phi(vector) for _ in range(n_v)] for _ in range(m_r)]
    sums: list[list[ir.Value]] = [list(row) for row in phis]
    for u in range(unroll):
        columns = [load(b, at(b, qb, (u * n_v + v) * lanes * size), vector, lanes * size) for v in range(n_v)]
        for i in range(m_r):
            one = splat(b, load(b, at(b, qa, (u * m_r + i) * size), element, size), lanes)
            for v in range(n_v):
                sums[i][v] = fma(b, one, columns[v], sums[i][v])
    following = b.add(step, const(1))
    for phi, start, value in (
        (step, None, following),
        (qa, None, at(b, qa, unroll * m_r * size)),
        (qb, None, at(b, qb, unroll * n_v * lanes * size)),
        *((phis[i][v], zero(vector), sums[i][v]) for i in range(m_r) for v in range(n_v)),
    ):
        if start is not None:
            phi.add_incoming(start, entry)
        phi.add_incoming(value, body)
    b.cbranch(b.icmp_signed("<", following, k_steps), body, done)
    b.position_at_end(done)
    if element != result:
        wide = ir.VectorType(FLOAT, lanes)
        sums = [[b.fpext(value, wide) for value in row] for row in sums]
    write_tile(b, sums, rows, accumulate)


def write_tile(b: ir.IRBuilder, sums: list[list[ir.Value]], rows: list[ir.Value], accumulate: ir.Value) -> None:
    """Store the sums into the rows of C, or add them to what is there, and return."""
    kind = sums[0][0].type
    size = size_of(kind.element)
    plus = b.fadd if not isinstance(kind.element, ir.IntType) else b.add
    adding = b.append_basic_block("c.add")
    setting = b.append_basic_block("c.set")
    b.cbranch(b.icmp_signed("!=", accumulate, const(0)), adding, setting)
    for block, add in ((adding, True), (setting, False)):
        b.position_at_end(block)
        for row, values in zip(rows, sums, strict=True):
            for v, value in enumerate(values):
                place = at(b, row, v * kind.count * size)
                store(b, plus(load(b, place, kind, size), value) if add else value, place, size)
        b.ret_void()
