"""The matrix of the problem, [A | b] as HPL defines it, available block by block at any time and never stored twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

HPL_SEED = 100  # HPL_ISEED in HPL 2.3, include/hpl_ptest.h


class HplMatrix:
    """[A | b], n x (n+1), uniform in (-0.5, 0.5]: bit for bit HPL's own, whatever the blocking. Column n is b."""

    #: Says that (n, seed) make the matrix by HPL's stream, so that a GPU may generate it where it is used.
    generator = "hpl-lcg"

    def __init__(self, n: int, seed: int = HPL_SEED, threads: int = 1) -> None:
        self.n = n
        self.seed = seed
        self.threads = threads

    def fill(self, out: np.ndarray, row0: int, col0: int) -> None:
        """Write A[row0 : row0 + m, col0 : col0 + k] into `out` (float64, shape (m, k), any strides; overwritten)."""
        from flopbench.compiled import lcg

        columns = out.shape[1]
        parts = min(self.threads, columns)
        if parts <= 1 or out.size < 1 << 16:
            lcg.fill(out, row0, col0, self.n, np.uint64(self.seed))
            return
        bounds = [columns * part // parts for part in range(parts + 1)]
        with ThreadPoolExecutor(parts) as pool:
            jobs = [
                pool.submit(lcg.fill, out[:, low:high], row0, col0 + low, self.n, np.uint64(self.seed))
                for low, high in pairwise(bounds)
            ]
            for job in jobs:
                job.result()
