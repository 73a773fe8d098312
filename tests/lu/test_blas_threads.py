"""The distributed LU shares out work among its own threads, so BLAS must stay on one, from whichever thread the harness drives it."""

from __future__ import annotations

import threading

import pytest
from flopbench_kernels.lu_blockcyclic.kernel import LuFp64Numba
from threadpoolctl import threadpool_info, threadpool_limits

from flopbench.blas_threads import BlasThreads
from flopbench.comm import SelfComm
from flopbench.errors import RunFailed
from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuProblem, Settings
from flopbench.machine.detect import detect

PROBLEM = LuProblem(40, 8, HplMatrix(40))


def blas_threads() -> set[int]:
    import scipy.linalg  # noqa: F401  (loads the BLAS whose threads are told)

    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def in_another_thread(work) -> None:
    failure: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


def test_blas_stays_on_one_thread_when_the_kernel_runs_beside_the_thread_that_set_more():
    """threadpoolctl 3.8 hears only the thread that spoke first; unheard, every update ran on twice the threads at half the rate."""
    seen = []

    def work() -> None:
        kernel = LuFp64Numba(Settings(threads=2))
        kernel.setup(PROBLEM, SelfComm(), detect())
        seen.append(blas_threads())
        kernel.close()

    assert blas_threads()
    with threadpool_limits(2):
        in_another_thread(work)
        assert seen == [{1}]
        assert blas_threads() == {2}


def test_a_library_that_keeps_its_threads_is_told_and_not_measured(monkeypatch):
    monkeypatch.setattr(BlasThreads, "excess", lambda self: "libmine 4 instead of 1")
    kernel = LuFp64Numba(Settings(threads=2))
    with pytest.raises(RunFailed, match="BLAS threads cannot be held at one each: libmine 4 instead of 1"):
        kernel.setup(PROBLEM, SelfComm(), detect())
    kernel.close()


def test_restoring_twice_is_harmless():
    before = blas_threads()
    limits = BlasThreads(1)
    assert limits.excess() is None
    limits.restore()
    limits.restore()
    assert blas_threads() == before
