"""U = L1^-1 U, L1 unit lower triangular, by the micro-kernel of the update.

Block rows of n_r: what is known of U is subtracted, then the rest is multiplied by the inverse of the block on the diagonal, which is at
most 24 x 24, as GPU libraries do it (P. Du et al., "From CUDA to OpenCL", Parallel Computing 38(8), 2012, on MAGMA's trsm). Both are
products of packed panels, where BLAS solves short triangles at a third of the rate of dgemm. The error is that of substitution times the
condition of a diagonal block, which partial pivoting keeps small in all but built examples; the residual is checked after every run.
"""

from __future__ import annotations

from numba import carray

from flopbench_kernels.device.rows import doubles_at
from flopbench_kernels.gemm_numba.calls import call6
from flopbench_kernels.gemm_numba.driver import multiply_tiles
from flopbench_kernels.gemm_numba.jit import jit


@jit
def _minus_inverse(l1, ldl, height, n_r, packed):
    """-L1^-1 of the `height` x `height` block at l1, packed as a panel of n_r lanes by n_r of k."""
    panel = carray(doubles_at(packed), n_r * n_r)
    panel[:] = 0.0
    for c in range(height):
        panel[c * n_r + c] = -1.0
        for s in range(c, height - 1):
            known = panel[c * n_r + s]
            column = carray(doubles_at(l1 + 8 * s * ldl), height)
            for r in range(s + 1, height):
                panel[c * n_r + r] -= column[r] * known


@jit
def pack_u(p, u, ldu, columns, height, target):
    """-U (height x columns) into its place in the panels; in the first of them that is at `target`."""
    for i in range(0, columns, p.m_r):
        call6(p.pack_u, u + 8 * i * ldu, 8 * ldu, 8, min(p.m_r, columns - i), height, target + i // p.m_r * p.a_panel)


@jit
def solve(p, k, columns, l1, ldl, u, ldu, room, lower, inverse, tile):
    """U (k x columns) in place. `p` as for the update; `room` takes the packed U, `lower` a panel of L1, `inverse` n_r x n_r."""
    for row in range(0, k, p.n_r):
        height = min(p.n_r, k - row)
        here, below = u + 8 * row, l1 + 8 * row
        if row > 0:
            call6(p.pack_l, below, 8, 8 * ldl, height, row, lower)
            multiply_tiles(p, 0, columns, 0, height, room, lower, here, 8 * ldu, 8, 1, row // p.granule, 1, tile)
        _minus_inverse(below + 8 * row * ldl, ldl, height, p.n_r, inverse)
        packed = room + 8 * p.m_r * row
        pack_u(p, here, ldu, columns, height, packed)
        steps = (height + p.granule - 1) // p.granule
        multiply_tiles(p, 0, columns, 0, height, packed, inverse, here, 8 * ldu, 8, 1, steps, 0, tile)
        if row + height < k:
            pack_u(p, here, ldu, columns, height, packed)
