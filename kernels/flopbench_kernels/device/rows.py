"""Row operations on column-major host blocks given by address: permute, gather, scatter. Compiled, without the GIL.

The rows of one column lie in scattered cache lines, so a column's reads are all issued before its writes, and the lines of a column
further on are asked for meanwhile: the misses then overlap. Indices are unsigned, since Numba lets signed ones count from the end.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

_AHEAD = 2  # columns between the one that is written and the one that is asked for


@intrinsic
def doubles_at(typing_context, address):
    """The address as a pointer to float64, for numba.carray."""
    if not isinstance(address, types.Integer):
        return None

    def generate(context, builder, signature, values):
        return builder.inttoptr(values[0], ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(address), generate


@intrinsic
def _prefetch_to_write(typing_context, address):
    """Ask for the cache line at `address`, which is going to be written; any address is allowed."""
    if not isinstance(address, types.Integer):
        return None

    def generate(context, builder, signature, values):
        line, integer = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [line, integer, integer, integer])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [line], kind)
        builder.call(ask, [builder.inttoptr(values[0], line), integer(1), integer(3), integer(1)])
        return context.get_dummy_value()

    return types.void(address), generate


@njit(nogil=True, cache=True)
def permute_rows(n, a, lda, to, origin):
    """Row to[i] of A gets what row origin[i] held, for all i at once, in n columns."""
    count = to.size
    held = np.empty(count)
    for j in range(n):
        column = carray(doubles_at(a + 8 * j * lda), lda)
        further = a + 8 * min(j + _AHEAD, n - 1) * lda
        for i in range(count):
            held[i] = column[np.uint64(origin[i])]
        for i in range(count):
            _prefetch_to_write(further + 8 * origin[i])
            column[np.uint64(to[i])] = held[i]


@njit(nogil=True, cache=True)
def gather_rows(n, a, lda, rows, out, ldo):
    """out[i, j] = A[rows[i], j]; `out` is len(rows) x n."""
    count = rows.size
    for j in range(n):
        column = carray(doubles_at(a + 8 * j * lda), lda)
        target = carray(doubles_at(out + 8 * j * ldo), ldo)
        for i in range(count):
            target[i] = column[np.uint64(rows[i])]


@njit(nogil=True, cache=True)
def scatter_rows(n, a, lda, rows, source, lds):
    """A[rows[i], j] = source[i, j]; `source` is len(rows) x n."""
    count = rows.size
    for j in range(n):
        column = carray(doubles_at(a + 8 * j * lda), lda)
        origin = carray(doubles_at(source + 8 * j * lds), lds)
        further = a + 8 * min(j + _AHEAD, n - 1) * lda
        for i in range(count):
            _prefetch_to_write(further + 8 * rows[i])
            column[np.uint64(rows[i])] = origin[i]


@njit(nogil=True, cache=True, fastmath={"contract"})
def gemv(m, k, a, lda, x, y):
    """y -= A x, in strips of rows that stay in the first cache."""
    multiplier = carray(doubles_at(x), k)
    for top in range(0, m, 1024):
        count = min(1024, m - top)
        strip = carray(doubles_at(y + 8 * top), count)
        for j in range(k):
            column = carray(doubles_at(a + 8 * (top + j * lda)), count)
            factor = multiplier[j]
            for i in range(count):
                strip[i] -= column[i] * factor
