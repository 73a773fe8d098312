"""What the tests of the block-cyclic LU share, also those on ranks: a run, and the comparison with LAPACK."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np
import scipy.linalg
from flopbench_kernels.lu_blockcyclic.kernel import LuFp64Numba

from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuProblem, LuTuning, Settings
from flopbench.machine.detect import detect

FACTS = ("left", "crout", "right")
GRIDS = [(p, q) for p in range(1, 7) for q in range(1, 7) if p * q <= 6]


@dataclass
class Case:
    n: int
    nb: int
    p: int = 1
    q: int = 1
    threads: int = 1
    tuning: LuTuning = field(default_factory=LuTuning)
    update: str = "own"

    def run(self, comm: Any) -> tuple[np.ndarray, np.ndarray]:
        """x and the pivots of one run on this rank."""
        kernel = LuFp64Numba(Settings(threads=self.threads, extra={"update": self.update}))
        problem = LuProblem(self.n, self.nb, HplMatrix(self.n), self.p, self.q, tuning=self.tuning)
        kernel.setup(problem, comm, machine())
        try:
            kernel.reset()
            kernel.run()
            return kernel.outcome().x, kernel.pivots()
        finally:
            kernel.close()


@cache
def machine() -> Any:
    """This one."""
    return detect()


@lru_cache(maxsize=64)
def lapack(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A, b, x and pivots by LAPACK."""
    whole = np.empty((n, n + 1), order="F")
    HplMatrix(n).fill(whole, 0, 0)
    a, b = whole[:, :n], whole[:, n]
    lu, pivots = scipy.linalg.lu_factor(a)
    return a, b, scipy.linalg.lu_solve((lu, pivots), b), pivots


def residual(n: int, x: np.ndarray) -> float:
    """HPL's scaled residual (HPL 2.3, HPL_pdtest.c)."""
    a, b, _, _ = lapack(n)
    norm = np.abs(a).sum(axis=1).max() * np.abs(x).max() + np.abs(b).max()
    return float(np.abs(a @ x - b).max() / (2.0**-53 * norm * n))


def faults(case: Case, x: np.ndarray, pivots: np.ndarray) -> list[str]:
    """What is wrong with a result; pivots may be empty on a rank that was left over."""
    found = []
    if not residual(case.n, x) < 16:
        found.append(f"residual {residual(case.n, x)}")
    if pivots.size and not np.array_equal(pivots, lapack(case.n)[3]):
        first = int(np.argmax(pivots != lapack(case.n)[3]))
        found.append(f"pivot {first} is {pivots[first]}, LAPACK's is {lapack(case.n)[3][first]}")
    return found
