"""Panels on the GPU, CUDA-aware MPI and NCCL: HPL's residual, the host panel's pivots, no race and no stale data, whatever CUDA's order."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flopbench_kernels.cuda import cuda_aware, nccl_wire
from flopbench_kernels.device import cuda_panel
from flopbench_kernels.device.resident import DeviceBuffer
from flopbench_kernels.lu_cupy import LuFp64Cupy

from flopbench.comm import SelfComm
from flopbench.errors import BadInput, NotPossible
from flopbench.kernel_api import Settings
from tests.lu.fake_mpi import run_ranks

from . import device_mpi
from .test_lu import ORDERS, assert_solved, gpus, problem, solve

__all__ = ["gpus"]  # a fixture

GRIDS = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]
WAYS = [("device", "staged"), ("host", "nccl"), ("device", "nccl"), ("host", "cuda-aware"), ("device", "cuda-aware")]


loaded_libraries = cuda_aware.loaded_libraries


def make_small(monkeypatch):
    """An MPI that takes device memory, and so few threads of a panel that each has several rows."""
    monkeypatch.setattr(cuda_aware, "ask", lambda path: 1)
    monkeypatch.setattr(cuda_aware, "loaded_libraries", lambda: [Path("libmpi.so")])
    monkeypatch.setattr(cuda_panel, "THREADS", 64)
    monkeypatch.setattr(cuda_panel, "ALONE_THREADS", 64)
    monkeypatch.setattr(cuda_panel, "BLOCKS", 2)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    make_small(monkeypatch)


def pivots_of(what, comm, **extra):
    kernel = LuFp64Cupy(Settings(threads=1, extra=extra))
    kernel.setup(what, comm, None)
    try:
        kernel.reset()
        kernel.run()
        return kernel.pivots()
    finally:
        kernel.close()


class Small:
    """Entries -1, 0 and 1: many candidates for a pivot of the same size."""

    def __init__(self, n):
        self.values = np.random.default_rng(n).integers(-1, 2, (n, n + 1)).astype(float)

    def fill(self, out, row0, col0):
        out[:] = self.values[row0 : row0 + out.shape[0], col0 : col0 + out.shape[1]]


class Ones:
    def fill(self, out, row0, col0):
        out[:] = 1.0


@pytest.mark.parametrize(("panel", "exchange"), WAYS)
@pytest.mark.parametrize(("policy", "seed"), ORDERS[:3])
@pytest.mark.parametrize(("p", "q"), GRIDS)
def test_every_way_solves_hpls_problem_in_whatever_order_cuda_runs_it(p, q, policy, seed, panel, exchange, gpus):
    cards = gpus(policy=policy, seed=seed)
    what = problem(75, p=p, q=q)
    body = lambda comm: solve(what, comm, panel=panel, exchange=exchange)  # noqa: E731
    for outcome in device_mpi.run_ranks(p * q, body, cards):
        assert_solved(what, outcome)
    assert cards.races == []
    assert len(cards.opened) == p * q
    assert all(card.arena.used == 0 for card in cards.opened)


@pytest.mark.parametrize("exchange", ["staged", "nccl", "cuda-aware"])
@pytest.mark.parametrize("depth", [0, 2])
@pytest.mark.parametrize("panel", ["host", "device"])
def test_every_depth_reuses_its_buffers_in_order(panel, depth, exchange, gpus):
    """Twice over one set of buffers: what the first run left queued must not meet the second."""
    for policy in ("eager", "lazy"):
        cards = gpus(policy=policy)
        what = problem(70, p=2, q=2, depth=depth)
        body = lambda comm, what=what: solve(what, comm, times=2, panel=panel, exchange=exchange)  # noqa: E731
        for outcome in device_mpi.run_ranks(4, body, cards):
            assert_solved(what, outcome)
        assert cards.races == []


@pytest.mark.parametrize("bcast", ["1ring", "1ringM", "2ring", "2ringM", "long", "longM", "mpi"])
def test_every_broadcast_takes_device_memory(bcast, gpus):
    cards = gpus()
    what = problem(70, q=4, bcast=bcast)
    body = lambda comm: solve(what, comm, panel="device", exchange="cuda-aware")  # noqa: E731
    for outcome in device_mpi.run_ranks(4, body, cards):
        assert_solved(what, outcome)
    assert cards.races == []


@pytest.mark.parametrize("rfact", ["left", "crout", "right"])
@pytest.mark.parametrize(("p", "n"), [(1, 1), (1, 15), (1, 90), (2, 90), (3, 61)])
def test_the_panel_on_the_device_takes_the_pivots_of_the_panel_on_the_host(p, n, rfact, gpus):
    gpus(policy="lazy")
    what = problem(n, p=p, rfact=rfact, nbmin=4)
    host, device = (
        run_ranks(p, lambda comm, panel=panel: pivots_of(what, comm, panel=panel)) for panel in ("host", "device")
    )
    for ours, theirs in zip(device, host, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("p", [1, 2])
def test_of_equal_candidates_the_upper_row_wins_as_on_the_host(p, gpus):
    gpus()
    what = problem(8, nb=8 if p == 1 else 2, p=p, matrix=Small(8))
    host, device = (
        run_ranks(p, lambda comm, panel=panel: pivots_of(what, comm, panel=panel))[0] for panel in ("host", "device")
    )
    np.testing.assert_array_equal(device, host)
    first = np.abs(what.matrix.values[:, 0])
    assert np.count_nonzero(first == first.max()) > 1
    assert host[0] == np.argmax(first)


class Equal:
    """All entries of equal size, with signs that leave no pivot zero: ties between rows that different threads and blocks look at."""

    def __init__(self, n):
        self.values = np.where(np.random.default_rng(7).random((n, n + 1)) < 0.5, -1.0, 1.0)

    def fill(self, out, row0, col0):
        out[:] = self.values[row0 : row0 + out.shape[0], col0 : col0 + out.shape[1]]


@pytest.mark.parametrize("p", [1, 2])
def test_of_equal_candidates_far_apart_the_upper_row_wins(p, gpus):
    """Columns of 70 rows and more on each rank: candidates of two blocks, each of 64 threads."""
    gpus()
    what = problem(140, nb=10, p=p, matrix=Equal(140))
    host, device = (
        run_ranks(p, lambda comm, panel=panel: pivots_of(what, comm, panel=panel))[0] for panel in ("host", "device")
    )
    np.testing.assert_array_equal(device, host)
    assert host[0] == 0


def test_a_part_wider_than_one_launch_takes_is_factored_column_by_column(gpus):
    cards = gpus()
    what = problem(90, nb=80, nbmin=80)
    host, device = (pivots_of(what, SelfComm(), panel=panel) for panel in ("host", "device"))
    np.testing.assert_array_equal(device, host)
    assert {"panel_pack", "panel_take", "panel_eliminate"} <= {call for card in cards.opened for call in card.calls}


def test_a_singular_matrix_is_reported_by_the_panel_on_the_device(gpus):
    gpus()
    with np.errstate(all="ignore"):
        assert solve(problem(20, matrix=Ones()), SelfComm(), panel="device").singular
        assert all(
            outcome.singular
            for outcome in run_ranks(2, lambda comm: solve(problem(20, p=2, matrix=Ones()), comm, panel="device"))
        )
    assert not solve(problem(20), SelfComm(), panel="device").singular


KERNELS = {"panel_alone"}
UPDATE = {"gemmEx", "dtrsm", "rows_gather", "rows_scatter", "copy_in", "event", "event.record", "stream.wait_event"}


def calls_of_a_run(gpus, p, q, **extra):
    """The calls of one factorisation on rank 0, by name."""
    cards = gpus()
    what = problem(100, p=p, q=q)

    def body(comm):
        kernel = LuFp64Cupy(Settings(threads=1, extra=extra))
        kernel.setup(what, comm, None)
        kernel.reset()
        card = kernel._gpu.libraries
        before = len(card.calls)
        kernel._factorisation.run()
        calls = card.calls[before:]
        kernel.close()
        return calls

    return device_mpi.run_ranks(p * q, body, cards)[0]


def test_a_panel_on_the_device_comes_to_the_host_as_pivots_only(gpus):
    """Seven panels on one rank: each waits for its pivots once, and, when its buffer is taken again, for an event that is long past."""
    calls = calls_of_a_run(gpus, 1, 1, panel="device")
    assert set(calls) <= UPDATE | KERNELS | {"copy", "copy_out", "event.synchronize"}
    panels = 7
    assert calls.count("copy_out") == 2 * panels  # pivots, and whether one was zero
    assert calls.count("copy") == 2 * panels  # the panel out of the matrix, its top block back
    assert calls.count("panel_alone") == 100 // 4  # parts of NBMIN columns
    reused = panels - 2  # buffers: depth + 1
    assert calls.count("event.synchronize") == panels + reused


def test_nccl_lets_the_host_wait_for_pivots_only(gpus):
    """Rank 0 of 1 x 2 has 4 of 7 panels; it waits once for the pivots of each, its own or another's."""
    calls = calls_of_a_run(gpus, 1, 2, panel="device", exchange="nccl")
    assert set(calls) <= UPDATE | KERNELS | {"copy", "copy_out", "event.synchronize", "nccl"}
    assert calls.count("nccl") == 7
    assert calls.count("copy_out") == 2 * 4 + 3
    reused = 7 - 3  # buffers: depth + 2
    assert calls.count("event.synchronize") == 7 + reused


def test_between_process_rows_nccl_needs_no_wait_and_mpi_one_for_each_half_of_the_exchange(gpus):
    waits = {
        exchange: calls_of_a_run(gpus, 2, 1, panel="device", exchange=exchange).count("event.synchronize")
        for exchange in ("nccl", "cuda-aware")
    }
    exchanges = 7  # one a panel: the last one still moves b
    assert waits["cuda-aware"] - waits["nccl"] == 2 * exchanges


def test_options_are_in_the_record_and_wrong_ones_are_refused_with_the_right_ones(gpus):
    gpus()
    kernel = LuFp64Cupy(Settings(threads=1, extra={"panel": "device"}))
    kernel.setup(problem(20), SelfComm(), None)
    kernel.close()
    assert (kernel.describe()["panel"], kernel.describe()["exchange"]) == ("device", "staged")
    with pytest.raises(BadInput, match="panel=gpu; allowed: device, host"):
        solve(problem(20), SelfComm(), panel="gpu")
    with pytest.raises(BadInput, match="NCCL takes one rank per GPU"):
        solve(problem(20), SelfComm(), exchange="nccl", oversubscribe="1")


def test_where_cupy_has_no_nccl_every_rank_says_so(gpus):
    gpus(no_nccl="CuPy finds no NCCL library here")
    with pytest.raises(NotPossible, match=r"exchange=nccl, rank 0: CuPy finds no NCCL library"):
        run_ranks(2, lambda comm: solve(problem(40, q=2), comm, exchange="nccl"))


def test_a_communicator_that_nccl_cannot_make_is_one_line_on_every_rank(gpus, monkeypatch):
    from flopbench.gpu_selftest.stand_in.nccl import Nccl, NcclError

    def refuse(self):
        raise NcclError(2, "NCCL_ERROR_SYSTEM_ERROR: unhandled system error")

    monkeypatch.setattr(Nccl, "get_unique_id", refuse)
    gpus()
    failed = []

    def body(comm):
        try:
            solve(problem(40, q=2), comm, exchange="nccl")
        except NotPossible as error:
            failed.append(str(error))

    run_ranks(2, body)
    assert len(failed) == 2
    assert all("ncclGetUniqueId failed: NCCL_ERROR_SYSTEM_ERROR" in text and "\n" not in text for text in failed)


@pytest.mark.parametrize(
    ("answers", "environ", "reason"),
    [
        ({"libmpi.so.40": 1}, {}, None),
        ({"libmpi.so.12": 0}, {}, "libmpi.so.12 says that it is not CUDA-aware"),
        ({"libmpi.so.12": None}, {}, "cannot be known whether MPI is CUDA-aware"),
        ({}, {}, "no MPI library is loaded"),
        ({"libmpi_gnu.so": None}, {"MPICH_GPU_SUPPORT_ENABLED": "1"}, None),
        ({"libmpi_cxx.so": None, "libmpi.so.40": 1}, {}, None),
    ],
)
def test_mpi_that_is_not_known_to_take_device_memory_is_refused_with_the_reason(answers, environ, reason):
    found = cuda_aware.why_not([Path("/lib", name) for name in answers], environ, lambda path: answers[path.name])
    assert (found is None) == (reason is None)
    if reason:
        assert reason in found
        assert "exchange=staged" in found


def test_one_rank_without_cuda_aware_mpi_stops_all(gpus, monkeypatch):
    monkeypatch.setattr(cuda_aware, "ask", lambda path: 0)
    gpus()
    with pytest.raises(NotPossible, match=r"exchange=cuda-aware, rank 0: libmpi.so says"):
        run_ranks(2, lambda comm: solve(problem(40, q=2), comm, exchange="cuda-aware"))


def test_loaded_mpi_libraries_are_found_by_their_names(tmp_path):
    maps = tmp_path / "maps"
    maps.write_text(
        "7f00-7f01 r-xp 00000000 08:01 11 /opt/my mpi/lib/libmpi.so.40.30\n"
        "7f01-7f02 r--p 00000000 08:01 11 /opt/my mpi/lib/libmpi.so.40.30\n"
        "7f02-7f03 r-xp 00000000 08:01 12 /usr/lib/libm.so.6\n7f03-7f04 rw-p 00000000 00:00 0\n"
    )
    assert loaded_libraries(maps) == [Path("/opt/my mpi/lib/libmpi.so.40.30")]
    assert loaded_libraries(tmp_path / "nothing") == []


def run_python(text):
    """What a fresh interpreter prints: MPI starts there, not in pytest's process."""
    for module in ("mpi4py", "mpich"):
        if importlib.util.find_spec(module) is None and not (module == "mpich" and shutil.which("mpiexec")):
            pytest.skip(f"{module} is not installed here")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mpi4py_takes_a_device_buffer_by_its_address():
    """The real mpi4py, over host memory: it reads the address, the length and the type from the CUDA array interface."""
    said = run_python(
        "import numpy as np\n"
        "from mpi4py import MPI\n"
        "from flopbench_kernels.device.resident import DeviceBuffer as B\n"
        "a, b = np.arange(10.0), np.zeros(10)\n"
        "out, into = B(a.ctypes.data, 10, a)[3:7], B(b.ctypes.data, 10, b)[1:5]\n"
        "MPI.COMM_SELF.Sendrecv(out, 0, 1, into, 0, 1)\n"
        "print(b.tolist())\n"
    )
    assert said.strip() == "[0.0, 3.0, 4.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0]"


def test_the_mpi_that_is_installed_here_is_refused_for_what_it_says_itself():
    """No MPI from a package registry is CUDA-aware: the real library is found in the process and asked."""
    said = run_python(
        "from mpi4py import MPI\n"
        "from flopbench_kernels.cuda import cuda_aware as c\n"
        "print(c.why_not(c.loaded_libraries(), {}, c.ask))\n"
    )
    assert "MPIX_Query_cuda_support" in said
    assert "libmpi" in said


def test_the_queued_broadcast_is_done_for_the_host_at_once():
    queued = nccl_wire.QueuedBroadcast()
    assert queued.poll()
    queued.close()


def test_a_part_of_a_device_buffer_is_its_address_range_and_keeps_the_memory():
    owner = object()
    whole = DeviceBuffer(4096, 100, owner)
    part = whole[10:30][5:100]
    assert (part.address, part.size, part.owner) == (4096 + 8 * 15, 15, owner)
    assert whole[7:3].size == 0
    with pytest.raises(ValueError, match="contiguous"):
        whole[::2]
