"""The inner loop of the LU check: one pass over a block of A for A x, row sums and column sums of |A|."""

from __future__ import annotations

from flopbench.compiled.jit import compiled


@compiled("void(float64[::1, :], float64[::1], float64[::1], float64[::1], float64[::1], int64, int64)")
def accumulate(block, x, product, row_sums, column_sums, first, last):
    """For rows first..last-1: product += block x, row_sums += sum_j |block|, column_sums += sum_i |block|.

    block: (n, columns), column-major; x and column_sums: (columns,); product and row_sums: (n,); the last three in and out.
    A NaN in the block stays visible in all three.
    """
    for j in range(block.shape[1]):
        xj = x[j]
        total = 0.0
        for i in range(first, last):
            value = block[i, j]
            product[i] += value * xj
            row_sums[i] += abs(value)
            total += abs(value)
        column_sums[j] += total
