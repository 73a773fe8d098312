"""LU by cuSOLVER over the stand-in: HPL's matrix, HPL's residual."""

import numpy as np
import pytest
from flopbench_kernels.cuda import context
from flopbench_kernels.cuda.faults import OutOfDeviceMemory
from flopbench_kernels.lu_cusolver import LuCusolver

from flopbench.comm import SelfComm
from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuProblem
from flopbench.verify import lu as verify


@pytest.fixture(params=["eager", "lazy"])
def libraries(request, stand_in, monkeypatch):
    libraries = stand_in(policy=request.param)
    monkeypatch.setattr(context, "open_libraries", lambda: libraries)
    return libraries


def run(kernel, problem, times=1):
    kernel.setup(problem, SelfComm(), None)
    for _ in range(times):
        kernel.reset()
        kernel.run()
    return kernel.outcome()


@pytest.mark.parametrize("n", [1, 2, 17, 150])
def test_the_solution_passes_hpls_residual_also_when_repeated(n, libraries):
    problem = LuProblem(n=n, nb=32, matrix=HplMatrix(n))
    kernel = LuCusolver()
    outcome = run(kernel, problem, times=2)
    assert verify.check(problem, outcome, SelfComm()).verdict == "PASSED"
    full = np.empty((n, n + 1))
    problem.matrix.fill(full, 0, 0)
    np.testing.assert_allclose(outcome.x, np.linalg.solve(full[:, :n], full[:, n]), rtol=1e-8)
    kernel.close()
    kernel.close()
    assert libraries.arena.used == 0


def test_a_run_is_two_calls_and_one_wait(libraries):
    kernel = LuCusolver()
    kernel.setup(LuProblem(n=20, nb=8, matrix=HplMatrix(20)), SelfComm(), None)
    kernel.reset()
    before = len(libraries.calls)
    kernel.run()
    assert libraries.calls[before:] == ["dgetrf", "dgetrs", "stream.synchronize"]


def test_a_singular_matrix_is_reported(libraries):
    class Ones:
        def fill(self, out, row0, col0):
            out[:] = 1.0

    kernel = LuCusolver()
    with np.errstate(all="ignore"):
        assert run(kernel, LuProblem(n=6, nb=2, matrix=Ones())).singular


def test_a_full_gpu_says_the_largest_n_that_fits(stand_in, monkeypatch):
    libraries = stand_in(capacity=80 << 20)
    monkeypatch.setattr(context, "open_libraries", lambda: libraries)
    kernel = LuCusolver()
    with pytest.raises(OutOfDeviceMemory, match=r"the matrix of N = 5000: .*the largest N that fits is about"):
        kernel.setup(LuProblem(n=5000, nb=32, matrix=HplMatrix(5000)), SelfComm(), None)
    kernel.close()
    assert libraries.arena.used == 0
