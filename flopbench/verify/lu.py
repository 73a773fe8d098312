"""HPL's residual check of a solution of Ax = b.

    Given     A, b regenerated from the seed, and x as the kernel left it
    Claim     r = ||Ax - b||oo / (eps (||A||oo ||x||oo + ||b||oo) N) < 16,  eps = 2^-53, strictly
    Cost      one pass over A in blocks of at most 32 MiB, shared among the ranks; A is never stored whole

Source: HPL 2.3, testing/ptest/HPL_pdtest.c. A NaN or an infinity anywhere makes r NaN, which is not < 16: FAILED.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from flopbench.kernel_api import Comm, LuOutcome, LuProblem
from flopbench.results import Verification

EPS = 2.0**-53
THRESHOLD = 16.0
CHECK = "||Ax-b||_oo / (eps (||A||_oo ||x||_oo + ||b||_oo) N), eps = 2^-53"
_BLOCK_BYTES = 32 << 20


@dataclass(frozen=True)
class Norms:
    """The ingredients of the residual; `a_one` and `x_one` are printed by HPL when a test fails."""

    residual_inf: float
    a_inf: float
    a_one: float
    x_inf: float
    x_one: float
    b_inf: float

    def scaled_residual(self, n: int) -> float:
        """r of the module's docstring; NaN if an ingredient is not finite."""
        scale = EPS * (self.a_inf * self.x_inf + self.b_inf) * n
        if not math.isfinite(self.residual_inf) or not math.isfinite(scale):
            return math.nan
        if scale == 0.0:  # A or x, and b, all zero: the residual is zero too, and nothing was shown
            return math.nan
        return self.residual_inf / scale


def norms(
    problem: LuProblem, x: np.ndarray, comm: Comm, threads: int, tick: Callable[[float], None] = lambda done: None
) -> Norms:
    """All norms in one pass over A. `tick` is told the fraction done. Collective; every rank gets the same."""
    from flopbench.compiled.residual import accumulate

    n = problem.n
    width = max(1, min(n, _BLOCK_BYTES // (8 * n)))
    parts = max(1, min(threads, n // 64))
    rows = [n * part // parts for part in range(parts + 1)]
    block = np.empty((n, width), order="F")
    product, row_sums = np.zeros(n), np.zeros(n)
    a_one = 0.0
    with ThreadPoolExecutor(parts) as pool:
        for start in range(comm.rank * width, n, comm.size * width):
            columns = min(width, n - start)
            panel = block[:, :columns]
            problem.matrix.fill(panel, 0, start)
            x_part = np.ascontiguousarray(x[start : start + columns])
            sums = np.zeros((parts, columns))
            jobs = [
                pool.submit(accumulate, panel.T, x_part, product, row_sums, sums[part], rows[part], rows[part + 1])
                for part in range(parts)
            ]
            for job in jobs:
                job.result()
            a_one = float(np.maximum(a_one, np.max(sums.sum(axis=0))))
            tick((start + columns) / n)
    b = np.empty((n, 1), order="F")
    problem.matrix.fill(b, 0, n)
    product = comm.sum_array(product)
    row_sums = comm.sum_array(row_sums)
    a_one = float(comm.max_array(np.array([a_one]))[0])
    return Norms(
        residual_inf=float(np.max(np.abs(product - b[:, 0]))),
        a_inf=float(np.max(row_sums)),
        a_one=a_one,
        x_inf=float(np.max(np.abs(x))),
        x_one=float(np.sum(np.abs(x))),
        b_inf=float(np.max(np.abs(b))),
    )


def check(
    problem: LuProblem,
    outcome: LuOutcome,
    comm: Comm,
    threads: int = 1,
    threshold: float = THRESHOLD,
    tick: Callable[[float], None] = lambda done: None,
) -> Verification:
    """PASSED or FAILED, with every ingredient. Collective; every rank gets the same."""
    x = np.asarray(outcome.x, dtype=np.float64)
    if x.shape != (problem.n,):
        return _failed(f"x has shape {x.shape}, expected ({problem.n},)", None, threshold, {})
    found = norms(problem, x, comm, threads, tick)
    value = found.scaled_residual(problem.n)
    ingredients: dict[str, float | int | str | None] = {
        "residual_inf": _finite(found.residual_inf),
        "a_inf": _finite(found.a_inf),
        "a_one": _finite(found.a_one),
        "x_inf": _finite(found.x_inf),
        "x_one": _finite(found.x_one),
        "b_inf": _finite(found.b_inf),
        "eps": EPS,
        "n": problem.n,
    }
    if not math.isfinite(value):
        reason = "the residual is not a finite number: a NaN, an infinity or nothing but zeros in A, x or b"
        return _failed(reason, None, threshold, ingredients)
    if outcome.singular:
        return _failed("a pivot is exactly zero: A is singular to working precision", value, threshold, ingredients)
    if value < threshold:
        return Verification(
            verdict="PASSED",
            reason=f"scaled residual {value:.3e} < {threshold}",
            check=CHECK,
            value=value,
            threshold=threshold,
            ingredients=ingredients,
        )
    return _failed(f"scaled residual {value:.3e} is not < {threshold}", value, threshold, ingredients)


def _failed(
    reason: str, value: float | None, threshold: float, ingredients: dict[str, float | int | str | None]
) -> Verification:
    return Verification(
        verdict="FAILED", reason=reason, check=CHECK, value=value, threshold=threshold, ingredients=ingredients
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
