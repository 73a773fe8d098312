"""HPL's random matrix: one 64-bit linear congruential stream laid over [A | b] column by column.

    X_{k+1} = a X_k + 1 mod 2^64,  X_0 = seed,  entry (i, j) of n rows = h(X_{1 + i + j n}),  h(X) = 0.5 - X 2^-64
    a = 6364136223846793005 (HPL 2.3, testing/matgen/HPL_rand.c and include/hpl_matgen.h)

Jumping k steps ahead is one affine map X -> A_k X + C_k; A_k and C_k come from k by repeated squaring in O(log k).
"""

from __future__ import annotations

import numpy as np

from flopbench.compiled.jit import compiled

_MULTIPLIER = np.uint64(6364136223846793005)
_INCREMENT = np.uint64(1)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)
_SCALE = 2.0**-64


@compiled("UniTuple(uint64, 2)(uint64)")
def jump(steps):
    """(A_k, C_k) with X_{i+k} = A_k X_i + C_k mod 2^64, for k = `steps`."""
    a, c = _ONE, _ZERO  # the map of the steps taken so far
    square_a, square_c = _MULTIPLIER, _INCREMENT  # the map of 2^bit steps
    while steps:
        if steps & _ONE:
            a, c = square_a * a, square_a * c + square_c
        square_a, square_c = square_a * square_a, square_a * square_c + square_c
        steps >>= _ONE
    return a, c


@compiled("float64(uint64)")
def to_uniform(state):
    """h(X): the entry in (-0.5, 0.5] that a state stands for; X is rounded to double first, as HPL's staged expression does."""
    return 0.5 - np.float64(state) * _SCALE


@compiled("void(float64[:, :], int64, int64, int64, uint64)")
def fill(out, row0, col0, n, seed):
    """Write entries (row0 + i, col0 + j) of the matrix with n rows into out[i, j]; any strides."""
    rows, columns = out.shape
    step4_a, step4_c = jump(np.uint64(4))
    step1_a, step1_c = jump(_ONE)
    column_a, column_c = jump(np.uint64(n))
    first_a, first_c = jump(np.uint64(1 + row0) + np.uint64(col0) * np.uint64(n))
    top = first_a * seed + first_c
    for j in range(columns):
        # four interleaved streams: the multiplication of one does not wait for that of another
        x0 = top
        x1 = step1_a * x0 + step1_c
        x2 = step1_a * x1 + step1_c
        x3 = step1_a * x2 + step1_c
        i = 0
        while i + 4 <= rows:
            out[i, j] = to_uniform(x0)
            out[i + 1, j] = to_uniform(x1)
            out[i + 2, j] = to_uniform(x2)
            out[i + 3, j] = to_uniform(x3)
            x0 = step4_a * x0 + step4_c
            x1 = step4_a * x1 + step4_c
            x2 = step4_a * x2 + step4_c
            x3 = step4_a * x3 + step4_c
            i += 4
        while i < rows:
            out[i, j] = to_uniform(x0)
            x0 = step1_a * x0 + step1_c
            i += 1
        top = column_a * top + column_c
