"""lu_fp64_numpy works in place: no hidden second matrix."""

import subprocess
import sys

import numpy as np
import pytest
from flopbench_kernels import lu_lapack

from flopbench.comm import SelfComm
from flopbench.errors import RunFailed
from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuProblem


def test_factors_and_solution_lie_where_the_matrix_lay():
    kernel = lu_lapack.LuLapack()
    kernel.setup(LuProblem(n=50, nb=8, matrix=HplMatrix(50)), SelfComm(), None)
    kernel.reset()
    before = kernel._matrix.__array_interface__["data"][0]
    original = kernel._matrix.copy()
    kernel.run()
    assert kernel._matrix.__array_interface__["data"][0] == before
    assert np.shares_memory(kernel.outcome().x, kernel._matrix)
    assert not np.array_equal(kernel._matrix[:, :50], original[:, :50])  # it holds the factors now
    assert np.allclose(original[:, :50] @ kernel.outcome().x, original[:, 50])


def test_a_copy_made_by_the_library_is_an_error_not_a_silence(monkeypatch):
    import scipy.linalg.lapack

    kernel = lu_lapack.LuLapack()
    kernel.setup(LuProblem(n=20, nb=8, matrix=HplMatrix(20)), SelfComm(), None)
    kernel.reset()
    real = scipy.linalg.lapack.dgetrf
    monkeypatch.setattr(scipy.linalg.lapack, "dgetrf", lambda a, overwrite_a: real(a, overwrite_a=0))
    with pytest.raises(RunFailed, match="worked on a copy"):
        kernel.run()


@pytest.mark.slow
def test_memory_of_a_whole_run_is_the_matrix_and_little_more(tmp_path):
    """Peak resident size of `flopbench hpl --n 8000`, check included, against 1.15 x 8 N^2 + 300 MB; a copy would add 512 MB."""
    code = (
        "import resource, sys\n"
        "from flopbench.cli import run\n"
        "rc = run(sys.argv[1:])\n"
        "print(rc, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n"
    )
    command = [sys.executable, "-c", code, "hpl", "--n", "8000", "--repeat", "1", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, peak = map(int, done.stdout.split("\n")[-2].split())
    assert code == 0
    assert peak <= 1.15 * 8 * 8000**2 + 300e6
