"""LU on one process by LAPACK's getrf and getrs, as SciPy loads them: the matrix is overwritten in place, never copied."""

from __future__ import annotations

from typing import Any

import numpy as np

from flopbench.errors import RunFailed
from flopbench.kernel_api import Comm, Kernel, LuOutcome, LuProblem


class LuLapack(Kernel):
    """Solve A x = b with scipy.linalg.lapack.dgetrf and dgetrs. Threads are those of SciPy's BLAS, set by the harness."""

    name = "lu_fp64_numpy"
    routine = "lu"
    precision = "fp64"
    backend = "numpy"
    summary = "LAPACK getrf/getrs through SciPy, one process, all cores"
    user_order = 20

    _matrix: np.ndarray | None = None
    _b: np.ndarray
    _problem: LuProblem

    def why_not(self, machine: Any) -> str | None:
        if self.settings.blas is not None:
            return "it uses the BLAS that SciPy brings; --blas is for kernels that load one by path"
        try:
            import scipy.linalg.lapack  # noqa: F401
        except ImportError as error:
            return f"SciPy cannot be imported: {error}"
        return None

    def memory_bytes(self, problem: LuProblem) -> int:
        """[A | b] plus the pivots and x; LAPACK's own workspace is a few MB a thread."""
        return 8 * problem.n * (problem.n + 1) + 16 * problem.n + (64 << 20)

    def setup(self, problem: LuProblem, comm: Comm, machine: Any) -> None:
        self._problem = problem
        self._matrix = np.empty((problem.n, problem.n + 1), order="F")

    def reset(self) -> None:
        assert self._matrix is not None
        self._problem.matrix.fill(self._matrix, 0, 0)
        self._b = self._matrix[:, -1]
        self._info = 0

    def run(self) -> None:
        self._factor()
        if self._info == 0:
            self._solve()

    def outcome(self) -> LuOutcome:
        return LuOutcome(x=self._b, singular=self._info > 0)

    def close(self) -> None:
        self._matrix = None
        self._b = np.empty(0)

    def _factor(self) -> None:
        from scipy.linalg.lapack import dgetrf

        assert self._matrix is not None
        a = self._matrix[:, : self._problem.n]
        factors, self._pivots, self._info = dgetrf(a, overwrite_a=1)
        self._require_in_place(factors, a, "dgetrf")

    def _solve(self) -> None:
        from scipy.linalg.lapack import dgetrs

        assert self._matrix is not None
        x, _ = dgetrs(self._matrix[:, : self._problem.n], self._pivots, self._b, overwrite_b=1)
        self._require_in_place(x, self._b, "dgetrs")

    @staticmethod
    def _require_in_place(result: np.ndarray, given: np.ndarray, routine: str) -> None:
        """A copy would double the memory and time something else; SciPy makes one silently if it dislikes the layout."""
        if result.__array_interface__["data"][0] != given.__array_interface__["data"][0]:
            raise RunFailed(f"{routine} worked on a copy of its argument; this SciPy cannot be used for lu_fp64_numpy")
