"""The inner loop of the LU check: one pass over a block of A for A x, row sums and column sums of |A|."""

from __future__ import annotations

from flopbench.compiled.jit import compiled


@compiled("void(float64[:, ::1], float64[::1], float64[::1], float64[::1], float64[::1], int64, int64)")
def accumulate(transposed, x, product, row_sums, column_sums, first, last):
    """For rows first..last-1: product += block x, row_sums += sum_j |block|, column_sums += sum_i |block|.

    transposed: the block of A, (columns, n), one column of A a row; x: (columns,). In and out: product and row_sums, (n,), and
    column_sums, (columns,).
    A NaN in the block stays visible in all three.
    """
    for j in range(transposed.shape[0]):
        xj = x[j]
        total = 0.0
        for i in range(first, last):
            value = transposed[j, i]
            product[i] += value * xj
            row_sums[i] += abs(value)
            total += abs(value)
        column_sums[j] += total
