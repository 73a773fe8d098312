"""LU kernels that are wrong in one way each: what a check must notice."""

from __future__ import annotations

import numpy as np
from flopbench_kernels.lu_lapack import LuLapack


class BitInFactors(LuLapack):
    """One bit of U flips between factorisation and solve."""

    name = "lu_fp64_bitinfactors"

    def _factor(self) -> None:
        super()._factor()
        n = self._problem.n
        self._matrix[n // 3, n // 2 :][:1].view(np.uint64)[0] ^= np.uint64(1 << 55)


class Misnamed(LuLapack):
    """An LU kernel that calls itself a product: whoever looks for LU kernels by name would miss it."""

    name = "gemm_fp64_misnamed"


class BitInX(LuLapack):
    """One bit of x flips after the solve."""

    name = "lu_fp64_bitinx"

    def run(self) -> None:
        super().run()
        self._b[self._problem.n // 2 :][:1].view(np.uint64)[0] ^= np.uint64(1 << 54)


class NanInA(LuLapack):
    """A NaN gets into A."""

    name = "lu_fp64_nanina"

    def reset(self) -> None:
        super().reset()
        self._matrix[1, 1] = np.nan


class Singular(LuLapack):
    """Two columns of A become equal to zero: LAPACK meets a pivot that is exactly zero."""

    name = "lu_fp64_singular"

    def reset(self) -> None:
        super().reset()
        self._matrix[:, 2:4] = 0.0


class WrongOnce(LuLapack):
    """Right the first two times, wrong the third: every repeat must be checked. (The warm-up takes two runs.)"""

    name = "lu_fp64_wrongonce"
    runs_of_asked_size = 0

    def run(self) -> None:
        super().run()
        if self._problem.n == 333:
            type(self).runs_of_asked_size += 1
            if type(self).runs_of_asked_size == 5:
                self._b[0] = 0.25


BROKEN = [BitInFactors, BitInX, NanInA, Singular]
