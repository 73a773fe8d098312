"""The residual check passes right answers and no wrong one."""

import math

import numpy as np
import pytest

from flopbench.comm import SelfComm
from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuOutcome, LuProblem
from flopbench.verify import lu


class Stored:
    """A matrix that is kept whole: for matrices that HPL's generator never gives."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix

    def fill(self, out, row0, col0):
        out[...] = self.matrix[row0 : row0 + out.shape[0], col0 : col0 + out.shape[1]]


def problem(n: int) -> LuProblem:
    return LuProblem(n=n, nb=32, matrix=HplMatrix(n))


def dense(p: LuProblem) -> tuple[np.ndarray, np.ndarray]:
    whole = np.empty((p.n, p.n + 1), order="F")
    p.matrix.fill(whole, 0, 0)
    return whole[:, : p.n], whole[:, p.n]


def solved(p: LuProblem) -> np.ndarray:
    return np.linalg.solve(*dense(p))


def judge(p: LuProblem, x: np.ndarray, **options):
    return lu.check(p, LuOutcome(x, **options), SelfComm(), threads=2)


@pytest.mark.parametrize("n", [1, 2, 3, 31, 97, 300])
def test_a_right_solution_passes(n):
    verdict = judge(problem(n), solved(problem(n)))
    assert (verdict.verdict, verdict.value < 1.0) == ("PASSED", True)


@pytest.mark.parametrize("n", [5, 130])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_value_is_the_formula_of_its_printed_ingredients(n, threads):
    p = problem(n)
    a, b = dense(p)
    x = solved(p) * (1 + 1e-9)
    found = lu.check(p, LuOutcome(x), SelfComm(), threads)
    norms = found.ingredients
    scale = norms["eps"] * (norms["a_inf"] * norms["x_inf"] + norms["b_inf"]) * n
    assert found.value == norms["residual_inf"] / scale
    assert norms["a_inf"] == pytest.approx(np.linalg.norm(a, np.inf), rel=1e-13)
    assert norms["a_one"] == pytest.approx(np.linalg.norm(a, 1), rel=1e-13)
    assert (norms["x_one"], norms["b_inf"]) == (np.abs(x).sum(), np.abs(b).max())
    assert norms["residual_inf"] == pytest.approx(np.abs(a @ x - b).max(), rel=1e-3)


@pytest.mark.parametrize("place", [0, 77, 199])
@pytest.mark.parametrize("bit", [36, 44, 51, 54, 62, 63])
def test_one_flipped_bit_in_x_fails(place, bit):
    """Down to bit 36 of 52: below that the change is of the size of rounding at this N, which no residual can see."""
    p = problem(200)
    x = solved(p)
    x.view(np.uint64)[place] ^= np.uint64(1 << bit)
    verdict = judge(p, x)
    assert verdict.verdict == "FAILED"
    assert verdict.ingredients["n"] == 200


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_that_is_not_finite_passes(bad):
    p = problem(64)
    x = solved(p)
    x[13] = bad
    verdict = judge(p, x)
    assert (verdict.verdict, verdict.value) == ("FAILED", None)
    assert "not a finite number" in verdict.reason


def test_a_nan_in_a_fails_even_if_x_looks_fine():
    p = problem(64)
    a, b = dense(p)
    x = np.linalg.solve(a, b)
    broken = np.column_stack([a, b])
    broken[3, 60] = np.nan
    assert judge(LuProblem(n=64, nb=8, matrix=Stored(broken)), x).verdict == "FAILED"


def test_a_singular_matrix_fails_by_its_pivot_and_nothing_but_zeros_proves_nothing():
    p = problem(16)
    assert judge(p, solved(p), singular=True).verdict == "FAILED"
    assert judge(LuProblem(n=4, nb=2, matrix=Stored(np.zeros((4, 5)))), np.zeros(4)).verdict == "FAILED"


def test_two_swapped_entries_and_a_wrong_length_fail():
    p = problem(50)
    x = solved(p)
    swapped = x.copy()
    swapped[[3, 40]] = swapped[[40, 3]]
    assert judge(p, swapped).verdict == "FAILED"
    assert judge(p, x[:-1]).verdict == "FAILED"


def test_the_threshold_is_strict(monkeypatch):
    p = problem(20)
    value = judge(p, solved(p)).value
    comm = SelfComm()
    assert lu.check(p, LuOutcome(solved(p)), comm, threshold=value).verdict == "FAILED"
    assert lu.check(p, LuOutcome(solved(p)), comm, threshold=math.nextafter(value, 1)).verdict == "PASSED"


def test_a_is_never_stored_whole(monkeypatch):
    monkeypatch.setattr(lu, "_BLOCK_BYTES", 8 * 100 * 7)
    widths = []

    class Watched(HplMatrix):
        def fill(self, out, row0, col0):
            widths.append(out.shape[1])
            super().fill(out, row0, col0)

    p = LuProblem(n=100, nb=8, matrix=Watched(100))
    assert judge(p, solved(problem(100))).verdict == "PASSED"
    assert max(widths) == 7
    assert sum(widths) == 101
