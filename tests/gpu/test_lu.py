"""The block-cyclic LU on GPUs, 1 to 4 ranks, each with a stand-in of its own: HPL's residual, no race, no stale data, no hidden work."""

import itertools
import threading

import numpy as np
import pytest
from flopbench_kernels.cuda import context
from flopbench_kernels.device import cuda
from flopbench_kernels.lu_cupy import LuFp64Cupy

from flopbench.comm import SelfComm
from flopbench.errors import BadInput, NotPossible, RunFailed
from flopbench.gpu_selftest.stand_in.libraries import StandIn
from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuProblem, LuTuning, Settings
from flopbench.verify import lu as verify
from tests.lu.fake_mpi import run_ranks

from .conftest import installed_cupy

ORDERS = [("eager", 0), ("lazy", 0), ("random", 1), ("random", 2)]


class Gpus:
    """Opens a stand-in for every rank; each is another card."""

    def __init__(self, **options):
        self.options = options
        self.opened = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def __call__(self):
        with self._lock:
            number = next(self._numbers)
            options = {"pci_bus_id": f"0000:{number:02x}:00.0", **self.options}
            self.opened.append(StandIn(cupy=installed_cupy(), **options))
            return self.opened[-1]

    @property
    def races(self):
        return [race for gpu in self.opened for race in gpu.races]


@pytest.fixture
def gpus(monkeypatch):
    """gpus(policy="lazy", ...) makes the cards of the coming run. Small buffers, so that a row exchange takes several rounds."""
    monkeypatch.setattr(cuda, "SCRATCH", 1 << 11)
    monkeypatch.setattr(cuda, "INDEX_CAPACITY", 256)

    def make(**options):
        made = Gpus(**options)
        monkeypatch.setattr(context, "open_libraries", made)
        return made

    return make


def problem(n, nb=16, p=1, q=1, matrix=None, **tuning):
    return LuProblem(n=n, nb=nb, matrix=matrix or HplMatrix(n), p=p, q=q, tuning=LuTuning(**tuning))


def solve(what, comm, times=1, **extra):
    """With panels on the host unless the options say otherwise: those on the GPU are in test_lu_resident.py."""
    kernel = LuFp64Cupy(Settings(threads=1, extra={"panel": "host", **extra}))
    kernel.setup(what, comm, None)
    try:
        for _ in range(times):
            kernel.reset()
            kernel.run()
        return kernel.outcome()
    finally:
        kernel.close()


def assert_solved(what, outcome):
    verdict = verify.check(what, outcome, SelfComm())
    assert verdict.verdict == "PASSED", verdict.reason


@pytest.mark.parametrize(("policy", "seed"), ORDERS)
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 90])
def test_one_gpu_solves_hpls_problem_in_whatever_order_cuda_runs_it(n, depth, policy, seed, gpus):
    cards = gpus(policy=policy, seed=seed)
    what = problem(n, depth=depth)
    assert_solved(what, solve(what, SelfComm(), times=2))
    assert cards.races == []
    assert [card.arena.used for card in cards.opened] == [0]


@pytest.mark.parametrize(("policy", "seed"), ORDERS)
@pytest.mark.parametrize(("p", "q"), [(1, 2), (2, 1), (2, 2), (1, 4), (3, 1)])
def test_a_grid_of_gpus_solves_hpls_problem_in_whatever_order_cuda_runs_it(p, q, policy, seed, gpus):
    cards = gpus(policy=policy, seed=seed)
    what = problem(100, p=p, q=q)
    for outcome in run_ranks(p * q, lambda comm: solve(what, comm)):
        assert_solved(what, outcome)
    assert cards.races == []
    assert len(cards.opened) == p * q
    assert all(card.arena.used == 0 for card in cards.opened)


@pytest.mark.parametrize("swap", ["binexch", "long"])
@pytest.mark.parametrize("depth", [0, 2])
def test_every_row_exchange_and_depth_is_in_order_on_two_process_rows(swap, depth, gpus):
    for policy in ("eager", "lazy"):
        cards = gpus(policy=policy)
        what = problem(70, p=2, q=1, swap=swap, depth=depth)
        for outcome in run_ranks(2, lambda comm, what=what: solve(what, comm)):
            assert_solved(what, outcome)
        assert cards.races == []


@pytest.mark.parametrize(("panel", "more"), [("host", set()), ("device", {"panel_alone", "copy"})])
def test_a_run_allocates_compiles_and_opens_nothing(panel, more, gpus):
    """Counted over a whole factorisation and solve: what the design names, and nothing else."""
    cards = gpus()
    what = problem(100)
    kernel = LuFp64Cupy(Settings(threads=1, extra={"panel": panel}))
    kernel.setup(what, SelfComm(), None)
    kernel.reset()
    (card,) = cards.opened
    before = len(card.calls)
    kernel.run()
    calls = card.calls[before:]
    kernel.close()
    allowed = {
        "gemmEx", "dtrsm", "rows_gather", "rows_scatter", "copy_in", "copy_out",
        "event", "event.record", "event.synchronize", "stream.wait_event",
    }  # fmt: skip
    assert set(calls) <= allowed | more, set(calls) - allowed
    panels = -(-100 // 16)
    factored = panels  # each panel comes to the host once
    reused = panels - 1  # a panel buffer is waited for before it is taken again, at most
    solved = 2 + 3 * panels  # b out and in; per block: right-hand side out, U out, x in
    waits = calls.count("event.synchronize")
    assert factored + solved - 1 <= waits <= factored + reused + solved


def test_blocks_are_multiplied_where_they_lie_in_the_matrix(gpus, cupy):
    """Every address that the LU hands to cuBLAS for C is that of a sub-block view of one cupy.ndarray, with its leading dimension."""
    cards = gpus()
    what = problem(70)
    kernel = LuFp64Cupy(Settings(threads=1, extra={"panel": "host"}))
    kernel.setup(what, SelfComm(), None)
    (card,) = cards.opened
    matrix = kernel._matrix
    pointer = cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(matrix.memory.address, 8 * matrix.ld * 71, kernel, 0), 0)
    whole = cupy.ndarray((70, 71), "d", memptr=pointer, strides=(8, 8 * matrix.ld))
    kernel.reset()
    kernel._factorisation.run()
    updates = [call for call in card.cublas.calls if call[0] == "gemmEx"]
    assert updates
    for _, m, n, k, address, ld in updates:
        row = 70 - m
        columns = [j for j in range(71) if whole[row:, j:].data.ptr == address]
        assert len(columns) == 1
        view = whole[row:, columns[0] : columns[0] + n]
        assert view.shape == (m, n)
        assert view.strides == (8, 8 * ld)
        assert k <= 16
    kernel.close()


def test_a_singular_matrix_is_reported(gpus):
    class Ones:
        def fill(self, out, row0, col0):
            out[:] = 1.0

    gpus()
    with np.errstate(all="ignore"):
        assert solve(problem(20, matrix=Ones()), SelfComm()).singular


def test_two_ranks_on_one_gpu_are_refused_unless_asked_for(gpus):
    what = problem(40, p=1, q=2)
    gpus(pci_bus_id="0000:01:00.0")
    with pytest.raises(NotPossible, match=r"ranks 0, 1 on .* share GPU 0000:01:00.0"):
        run_ranks(2, lambda comm: solve(what, comm))
    for outcome in run_ranks(2, lambda comm: solve(what, comm, oversubscribe="1")):
        assert_solved(what, outcome)


def test_each_rank_takes_the_gpu_of_its_local_rank(gpus):
    cards = gpus(devices=4)
    what = problem(40, p=2, q=2)
    run_ranks(4, lambda comm: solve(what, comm))
    assert sorted(card.index for card in cards.opened) == [0, 1, 2, 3]


def test_a_full_gpu_is_one_line_with_the_largest_n_and_leaves_nothing_behind(gpus, monkeypatch):
    cards = gpus(capacity=4 << 20)
    monkeypatch.setattr("flopbench_kernels.lu_cupy._HANDLE_BYTES", 0)
    with pytest.raises(RunFailed, match="the largest N that fits is about") as caught:
        solve(problem(1000), SelfComm())
    assert "\n" not in str(caught.value)
    assert cards.opened[0].arena.used == 0
    largest = int(str(caught.value).split()[-1])
    assert 300 < largest < 1000
    what = problem(largest)
    assert_solved(what, solve(what, SelfComm()))


def test_emulated_fp64_is_refused(gpus, monkeypatch):
    gpus()
    monkeypatch.setenv("CUBLAS_EMULATE_DOUBLE_PRECISION", "1")
    with pytest.raises(NotPossible, match="no 64-bit arithmetic"):
        solve(problem(20), SelfComm())


def test_an_exchange_that_is_not_there_is_refused_with_those_that_are(gpus):
    gpus()
    with pytest.raises(BadInput, match=r"exchange=pigeon; allowed: staged, cuda-aware, nccl"):
        solve(problem(20), SelfComm(), exchange="pigeon")
