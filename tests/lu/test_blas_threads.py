"""The distributed LU shares out work among its own threads, so BLAS must stay on one, from whichever thread the harness drives it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from flopbench_kernels.device import cpu
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


@pytest.fixture(scope="module")
def mkl_alike(tmp_path_factory):
    """Path of a BLAS that keeps its number of threads for each calling thread, two at first."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    path = tmp_path_factory.mktemp("library") / "libmkl_rt.so.9"
    source = Path(__file__).with_name("mkl_alike.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(path), str(source)], check=True)
    return str(path)


def test_every_thread_of_ours_holds_a_library_that_counts_for_each_caller(mkl_alike):
    """Held in the thread that drives the LU only, MKL ran two threads in each of the others, and the LU was a tenth slower."""
    asked = """
import ctypes, sys, threading
from flopbench.blas_threads import BlasThreads
from flopbench_kernels.device.cpu import CpuDevice

device = CpuDevice(4, sys.argv[1])
limits = BlasThreads(1)
stream, together = device.stream(), threading.Barrier(4)

def piece():
    together.wait()  # so that no thread takes two
    device.gemm(stream, 1, 1, 1, 0, 1, 0, 1, 0, 1)

for _ in range(4):
    device.submit(stream, piece)
stream.record().synchronize()
device.close()
print(ctypes.CDLL(sys.argv[1]).most_threads())
"""
    done = subprocess.run([sys.executable, "-c", asked, mkl_alike], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_thread_whose_blas_does_not_obey_is_told_and_not_measured(monkeypatch):
    monkeypatch.setattr(cpu, "hold_here", lambda threads: f"libmine 2 instead of {threads}")
    kernel = LuFp64Numba(Settings(threads=2))
    with pytest.raises(RunFailed, match=r"rank 0 on \S+: BLAS .* held at one for each of ours: libmine 2 instead of 1"):
        kernel.setup(PROBLEM, SelfComm(), detect())
    kernel.close()


def test_a_thread_that_cannot_begin_is_not_done_without(monkeypatch):
    def fail(threads):
        raise OSError("planted")

    monkeypatch.setattr(cpu, "hold_here", fail)
    before = threading.active_count()
    with pytest.raises(OSError, match="planted"):
        cpu.CpuDevice(3)
    assert threading.active_count() == before


def test_restoring_twice_is_harmless():
    before = blas_threads()
    limits = BlasThreads(1)
    assert limits.excess() is None
    limits.restore()
    limits.restore()
    assert blas_threads() == before
