"""Sums in twice the working precision, compiled: what a check of FP64 products needs, on any CPU and with any long double."""

from __future__ import annotations

from flopbench.compiled.jit import compiled


@compiled("void(float64[::1], float64[::1], float64[:, ::1], float64[::1], float64[::1], int64, int64)")
def add_weighted_rows(weights_hi, weights_lo, rows, sum_hi, sum_lo, first, last):
    """sum_hi + sum_lo += (weights_hi + weights_lo)^T rows in columns first..last-1, with a unit roundoff of about 2^-106, kept as pairs.

    weights_hi, weights_lo   in, shape (r,)
    rows                     in, shape (r, c), row-major
    sum_hi, sum_lo           in and out, shape (c,)

    Each product is split into value and error (Dekker 1971), each addition too (Knuth's TwoSum); the errors are summed apart: algorithm
    Dot2 of Ogita, Rump and Oishi, SIAM J. Sci. Comput. 26(6), 2005. The loop over columns holds no dependency, so that it becomes
    vector code.
    """
    factor = 134217729.0  # 2^27 + 1 splits 53 bits into 26 and 26
    for i in range(rows.shape[0]):
        w = weights_hi[i]
        w_rest = weights_lo[i]
        t = factor * w
        w_top = t - (t - w)
        w_low = w - w_top
        for j in range(first, last):
            b = rows[i, j]
            t = factor * b
            b_top = t - (t - b)
            b_low = b - b_top
            product = w * b
            product_error = ((w_top * b_top - product) + w_top * b_low + w_low * b_top) + w_low * b_low
            old = sum_hi[j]
            new = old + product
            part = new - old
            sum_error = (old - (new - part)) + (product - part)
            sum_hi[j] = new
            sum_lo[j] += sum_error + (product_error + w_rest * b)
