"""Row operations on column-major host blocks given by address: permute, gather, scatter. Compiled, without the GIL.

The rows of one column lie in scattered cache lines, so a column's reads are all issued before its writes: the misses then overlap.
Transposed buffers are handled eight columns at a time, which is one cache line of the buffer.
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
def gather_rows(n, a, lda, rows, out, ldo, out_transposed):
    """out[i, j] = A[rows[i], j]; `out` is len(rows) x n, or stored as its transpose."""
    count = rows.size
    if not out_transposed:
        for j in range(n):
            column = carray(doubles_at(a + 8 * j * lda), lda)
            target = carray(doubles_at(out + 8 * j * ldo), count)
            for i in range(count):
                target[i] = column[rows[i]]
        return
    whole = n - n % 8
    for j in range(0, whole, 8):
        columns = carray(doubles_at(a + 8 * j * lda), 8 * lda)
        for i in range(count):
            row = rows[i]
            target = carray(doubles_at(out + 8 * (j + i * ldo)), 8)
            for c in range(8):
                target[c] = columns[row + c * lda]
    for j in range(whole, n):
        column = carray(doubles_at(a + 8 * j * lda), lda)
        for i in range(count):
            carray(doubles_at(out + 8 * (j + i * ldo)), 1)[0] = column[rows[i]]


@njit(nogil=True, cache=True)
def scatter_rows(n, a, lda, rows, source, lds, source_transposed):
    """A[rows[i], j] = source[i, j]; `source` is len(rows) x n, or stored as its transpose."""
    count = rows.size
    if not source_transposed:
        for j in range(n):
            column = carray(doubles_at(a + 8 * j * lda), lda)
            origin = carray(doubles_at(source + 8 * j * lds), count)
            for i in range(count):
                column[rows[i]] = origin[i]
        return
    whole = n - n % 8
    for j in range(0, whole, 8):
        columns = carray(doubles_at(a + 8 * j * lda), 8 * lda)
        for i in range(count):
            row = rows[i]
            origin = carray(doubles_at(source + 8 * (j + i * lds)), 8)
            for c in range(8):
                columns[row + c * lda] = origin[c]
    for j in range(whole, n):
        column = carray(doubles_at(a + 8 * j * lda), lda)
        for i in range(count):
            column[rows[i]] = carray(doubles_at(source + 8 * (j + i * lds)), 1)[0]
