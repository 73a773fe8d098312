"""Operation counts: the numerator of every rate. One function a routine, with the source of the formula."""

from __future__ import annotations


def lu_solve_flops(n: int) -> float:
    """Operations of solving Ax = b by LU, as HPL counts them: 2/3 n^3 + 3/2 n^2.

    2/3 n^3 - 1/2 n^2 for the factorisation and 2 n^2 for the solve (HPL 2.3, testing/ptest/HPL_pdtest.c).
    """
    return 2.0 / 3.0 * n**3 + 1.5 * n**2


def gemm_flops(m: int, n: int, k: int) -> float:
    """Operations of C = A B with A m x k and B k x n: one multiplication and one addition a term, 2 m n k."""
    return 2.0 * m * n * k
