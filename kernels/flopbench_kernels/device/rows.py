"""Row operations on column-major host blocks given by address: permute, gather, scatter. Compiled, without the GIL.

The rows of one column lie in scattered cache lines, so a column's reads are all issued before its writes: the misses then overlap.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic


@intrinsic
def doubles_at(typing_context, address):
    """The address as a pointer to float64, for numba.carray."""
    if not isinstance(address, types.Integer):
        return None

    def generate(context, builder, signature, values):
        return builder.inttoptr(values[0], ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(address), generate


@njit(nogil=True, cache=True)
def permute_rows(n, a, lda, to, origin):
    """Row to[i] of A gets what row origin[i] held, for all i at once, in n columns."""
    count = to.size
    held = np.empty(count)
    for j in range(n):
        column = carray(doubles_at(a + 8 * j * lda), lda)
        for i in range(count):
            held[i] = column[origin[i]]
        for i in range(count):
            column[to[i]] = held[i]


@njit(nogil=True, cache=True)
def gather_rows(n, a, lda, rows, out, ldo):
    """out[i, j] = A[rows[i], j]; `out` is len(rows) x n."""
    count = rows.size
    for j in range(n):
        column = carray(doubles_at(a + 8 * j * lda), lda)
        target = carray(doubles_at(out + 8 * j * ldo), ldo)
        for i in range(count):
            target[i] = column[rows[i]]


@njit(nogil=True, cache=True)
def scatter_rows(n, a, lda, rows, source, lds):
    """A[rows[i], j] = source[i, j]; `source` is len(rows) x n."""
    count = rows.size
    for j in range(n):
        column = carray(doubles_at(a + 8 * j * lda), lda)
        origin = carray(doubles_at(source + 8 * j * lds), lds)
        for i in range(count):
            column[rows[i]] = origin[i]


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
