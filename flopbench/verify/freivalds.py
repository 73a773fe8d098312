"""Freivalds' check of a product: compare X C with (X A) B for random weights X, at the cost of O(n^2) per row of X.

    R. Freivalds, Probabilistic machines can use less running time, IFIP Congress 1977: if C is wrong, a random vector shows it.

Rows of C are put into groups; row g of X holds random weights of size 1 to 2 and random sign for the rows of group g, zeros elsewhere.
Small groups keep the rounding errors of the other rows from hiding one wrong element; docs/method.md derives how large they may be.
Products are formed in higher precision than the kernel's: float64 for operands of 32 bits and less, twofold float64 (about 106 bits) for
FP64, and integers modulo 2^64, which is exact, for INT8.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from flopbench.kernel_api import GemmOutcome, HeldMatrix
from flopbench.verify.operands import row_blocks, times, widen


def weights(m: int, groups: int, turn: int, random: np.random.Generator) -> np.ndarray:
    """X, float64, shape (groups, m): one weight per column, +-[1, 2). Even turns group neighbours, odd turns every groups-th row.

    So with groups * groups >= m any two rows are in different groups in one of two turns, and no exchange between them cancels.
    """
    row = np.arange(m)
    group = row % groups if turn % 2 else row * groups // m
    x = np.zeros((groups, m))
    x[group, row] = random.uniform(1.0, 2.0, m) * random.choice([-1.0, 1.0], m)
    return x


def integer_weights(m: int, random: np.random.Generator) -> np.ndarray:
    """One row of 30-bit integers, int64, shape (1, m)."""
    return random.integers(-(2**29), 2**29, size=(1, m))


def residual(x: np.ndarray, outcome: GemmOutcome) -> np.ndarray:
    """X C - (X A) B - X C0 in float64, shape (groups, n), for operands of at most 32 bits, which float64 multiplies exactly."""
    left = times(times(x, outcome.a), outcome.b)
    if outcome.c0 is not None:
        left += times(x, outcome.c0)
    return times(x, outcome.c) - left


def residual_twofold(x: np.ndarray, outcome: GemmOutcome, threads: int) -> np.ndarray:
    """The same for FP64, in twofold float64; only the small difference at the end is rounded. Shape (groups, n)."""
    groups, n = x.shape[0], outcome.b.shape[1]
    difference = np.empty((groups, n))
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for g in range(groups):
            nothing = np.zeros_like(x[g])
            z_hi, z_lo = _times_twofold(x[g], nothing, outcome.a, pool, threads)
            product_hi, product_lo = _times_twofold(z_hi, z_lo, outcome.b, pool, threads)
            c_hi, c_lo = _times_twofold(x[g], nothing, outcome.c, pool, threads)
            rest = c_lo - product_lo
            difference[g] = c_hi - product_hi  # exact where the two agree to a factor of two (Sterbenz)
            if outcome.c0 is not None:
                c0_hi, c0_lo = _times_twofold(x[g], nothing, outcome.c0, pool, threads)
                difference[g] = _sum_of_three(c_hi, -product_hi, -c0_hi)
                rest -= c0_lo
            difference[g] += rest
    return difference


def wrong_columns(outcome: GemmOutcome, random: np.random.Generator) -> np.ndarray:
    """Columns of an integer product where x C differs from (x A) B, modulo 2^64, for one random x of 30-bit integers.

    If an element of a column is wrong, by less than 2^33, at most one value of its weight hides that: the chance is at most 2^-30.
    """
    x = integer_weights(outcome.a.shape[0], random)
    left = times_modulo(times_modulo(x, outcome.a), outcome.b)
    if outcome.c0 is not None:
        left = left + times_modulo(x, outcome.c0)
    return np.flatnonzero((times_modulo(x, outcome.c) != left)[0])


def _times_twofold(
    hi: np.ndarray, lo: np.ndarray, matrix: np.ndarray | HeldMatrix, pool: ThreadPoolExecutor, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """(hi + lo) @ matrix as an unevaluated sum of two float64 vectors, normalised; threads share the columns."""
    if isinstance(matrix, np.ndarray):
        sum_hi, sum_lo = _sum_rows_twofold(hi, lo, matrix, pool, threads)
    else:
        sum_hi, sum_lo = matrix.times_twofold(hi, lo)
    top = sum_hi + sum_lo
    return top, (sum_hi - top) + sum_lo


def _sum_rows_twofold(
    hi: np.ndarray, lo: np.ndarray, matrix: np.ndarray, pool: ThreadPoolExecutor, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same on the host, not normalised."""
    from flopbench.compiled.twofold import add_weighted_rows

    columns = matrix.shape[1]
    edges = [columns * part // max(1, threads) for part in range(max(1, threads) + 1)]
    sum_hi, sum_lo = np.zeros(columns), np.zeros(columns)
    for block in row_blocks(*matrix.shape):
        rows = widen(matrix[block])
        jobs = [
            pool.submit(add_weighted_rows, hi[block], lo[block], rows, sum_hi, sum_lo, first, last)
            for first, last in pairwise(edges)
            if last > first
        ]
        for job in jobs:
            job.result()
    return sum_hi, sum_lo


def _sum_of_three(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a + b + c with the error of the first addition (TwoSum, Knuth) added back."""
    s = a + b
    part = s - a
    return (s + c) + ((a - (s - part)) + (b - part))


def times_modulo(x: np.ndarray, matrix: np.ndarray | HeldMatrix) -> np.ndarray:
    """x @ matrix modulo 2^64 for integers, as uint64."""
    if not isinstance(matrix, np.ndarray):
        return matrix.times_modulo(x.astype(np.uint64))
    result = np.zeros((x.shape[0], matrix.shape[1]), np.uint64)
    for block in row_blocks(*matrix.shape):
        result += x[:, block].astype(np.uint64) @ np.ascontiguousarray(matrix[block], dtype=np.int64).astype(np.uint64)
    return result
