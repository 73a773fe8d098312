"""Bugs planted into panels on the GPU, CUDA-aware MPI and NCCL, each of which a named test must catch."""

from contextlib import ExitStack
from functools import cache

import pytest

from flopbench.errors import FlopbenchError
from flopbench.gpu_selftest.stand_in import nccl
from tests.lu import fake_mpi

from . import test_lu_resident as tests
from .test_mutations import LU, Scene, mutated, once_each

PANEL, WIRE, NCCL = f"{LU}.panel_resident", f"{LU}.wire", "flopbench_kernels.cuda.nccl_wire"


@cache
def solved(p, q, policy, panel, exchange):
    return lambda s: tests.test_every_way_solves_hpls_problem_in_whatever_order_cuda_runs_it(
        p, q, policy, 0, panel, exchange, s.gpus
    )


@cache
def pivots(p, n):
    return lambda s: tests.test_the_panel_on_the_device_takes_the_pivots_of_the_panel_on_the_host(p, n, "crout", s.gpus)


@cache
def ties(p):
    return lambda s: tests.test_of_equal_candidates_far_apart_the_upper_row_wins(p, s.gpus)


def singular(s):
    tests.test_a_singular_matrix_is_reported_by_the_panel_on_the_device(s.gpus)


def refused(s):
    tests.test_mpi_that_is_not_known_to_take_device_memory_is_refused_with_the_reason(
        {"libmpi.so.12": 0}, {}, "libmpi.so.12 says that it is not CUDA-aware"
    )


MUTATIONS = {
    "the leading dimension of a panel taken from the matrix": (
        PANEL, "source, self.matrix.ld, self.l1 + 8 * skip, self.ld)", "source, self.ld, self.l1 + 8 * skip, self.ld)",
        solved(1, 1, "eager", "device", "staged"),
    ),
    "a diagonal block that does not go back": (
        PANEL, "self.resident.copy_within(stream, self.width, self.width,", "(lambda *a: None)(stream, self.width, self.width,",
        solved(1, 1, "eager", "device", "staged"),
    ),
    "pivots relative to the panel": (
        "panel.cu", "row = (double)(row0 + candidate);", "row = (double)candidate;", pivots(2, 90)
    ),
    "pivots of one rank's rows taken for everybody's": (
        "panel.cu", "(local / nb * grid_rows + my_row) * nb", "(local / nb * grid_rows) * nb", pivots(2, 90)
    ),
    "of equal candidates of distant threads the lower row": (
        "panel.cu", "rows[t] < *at)) { *best = sizes[t]; *at = rows[t]; }\n        sizes[threadIdx.x]",
        "rows[t] > *at)) { *best = sizes[t]; *at = rows[t]; }\n        sizes[threadIdx.x]", ties(2),
    ),
    "of equal candidates of neighbours the lower row": (
        "panel.cu", "rows[t] < *at)) { *best = sizes[t]; *at = rows[t]; }\n}",
        "rows[t] > *at)) { *best = sizes[t]; *at = rows[t]; }\n}", ties(2),
    ),
    "a block that does not wait for its candidates": (
        "panel.cu", "rows[threadIdx.x] = *at;\n    __syncthreads();\n    if", "rows[threadIdx.x] = *at;\n    if", ties(2),
    ),
    "rows below the top block eliminated once too few": (
        "panel.cu", "for (i64 c = j + 1; c < high; c += AT_ONCE)", "for (i64 c = j + 2; c < high; c += AT_ONCE)", pivots(2, 90)
    ),
    "a row that was pushed out and lost": (
        "panel.cu", "if (candidate >= 0 && candidate != j)", "if (candidate >= 0 && candidate == j)", pivots(2, 90)
    ),
    "a zero pivot unnoticed": ("panel.cu", "mine[2] = 1.0;", "mine[2] = 0.0;", singular),
    "a rank alone: pivots relative to the panel": (
        "panel_alone.cu", "(double)(row0 + pivot_row)", "(double)pivot_row", pivots(1, 90)
    ),
    "a rank alone: of equal candidates of distant threads the lower row": (
        "panel_alone.cu", "rows[t] < *at)) { *best = sizes[t]; *at = rows[t]; }\n        sizes[threadIdx.x]",
        "rows[t] > *at)) { *best = sizes[t]; *at = rows[t]; }\n        sizes[threadIdx.x]", ties(1),
    ),
    "a rank alone: blocks that do not wait for each other": (
        "panel_alone.cu", "while ((int)(*(volatile unsigned*)arrived - goal) < 0) __nanosleep(20);", "", ties(1)
    ),
    "a rank alone: arrivals counted from zero in every part": (
        "panel_alone.cu", "arrived_before + (j - start + 1)", "(j - start + 1)", ties(1)
    ),
    "a rank alone: what was chosen read before it is there": (
        "panel_alone.cu", "taken[j - start] = pivot_row;\n        __syncthreads();", "taken[j - start] = pivot_row;", pivots(1, 90)
    ),
    "a rank alone: the row that makes way keeps its old multipliers": (
        "panel_alone.cu", "w[r + c * ld] = top[c - start];", "{}", pivots(1, 90)
    ),
    "a rank alone: other columns not interchanged": (
        "panel_alone.cu", "column[j] = column[other];", "{}", pivots(1, 90)
    ),
    "a rank alone: one set of slots": (
        "panel_alone.cu", "slots + (j % 2) * set", "slots", ties(1)
    ),
    "a rank alone: more blocks than the GPU holds together": (
        "flopbench_kernels.device.cuda_panel", "ALONE_THREADS, self._gpu.facts.multiprocessors)", "ALONE_THREADS)", ties(1)
    ),
    "a rank alone: a zero pivot unnoticed": ("panel_alone.cu", "*singular = 1.0;", "*singular = 0.0;", singular),
    "a candidate read before it came from the GPU": (
        PANEL, "count)\n        self.stream.record().synchronize()\n        self.exchange.run", "count)\n        self.exchange.run",
        solved(2, 1, "lazy", "device", "staged"),
    ),
    "a panel sent before it came from the GPU": (
        PANEL, "inwards=False)\n                    self.stream.record().synchronize()", "inwards=False)",
        solved(1, 2, "lazy", "device", "staged"),
    ),
    "a panel buffer taken again too early": (
        f"{LU}.factorise", "(2 if grid.q > 1 else 1)", "1", solved(1, 2, "eager", "device", "cuda-aware")
    ),
    "MPI that sends a panel before the GPU has it": (
        WIRE, "if self.grid.my_column == root:\n            stream.record().synchronize()", "if False:\n            pass",
        solved(1, 2, "eager", "host", "cuda-aware"),
    ),
    "MPI that sends rows before the GPU has packed them": (
        WIRE, "stream.record().synchronize()\n        requests = []", "requests = []", solved(2, 1, "eager", "host", "cuda-aware")
    ),
    "MPI that sends U before the GPU has solved for it": (
        WIRE, "stream.record().synchronize()\n        for turn", "for turn", solved(2, 1, "lazy", "host", "cuda-aware")
    ),
    "pivots read before they came": (
        PANEL, "            self.ready.synchronize()\n", "", solved(1, 2, "lazy", "device", "nccl")
    ),
    "a broadcast on another stream": (
        NCCL, "c.NCCL_FLOAT64, root, _pointer(stream)", "c.NCCL_FLOAT64, root, self.gpu._lanes[0].stream.ptr",
        solved(1, 2, "eager", "host", "nccl"),
    ),
    "NCCL with a count that the others do not have": (
        NCCL, "buffer.address, buffer.address, buffer.size, c.NCCL",
        "buffer.address, buffer.address, buffer.size - self.grid.my_column, c.NCCL", solved(1, 2, "eager", "device", "nccl"),
    ),
    "NCCL with a root that the others do not have": (
        NCCL, "c.NCCL_FLOAT64, root, _pointer", "c.NCCL_FLOAT64, self.grid.my_column, _pointer", solved(1, 2, "eager", "device", "nccl")
    ),
    "NCCL that sends a number too few": (
        NCCL, "self.column.send, part.address, part.size,", "self.column.send, part.address, part.size - 1,",
        solved(2, 1, "eager", "device", "nccl"),
    ),
    "NCCL slices that go round the wrong way": (
        NCCL, "theirs = (me - turn) % parts, (me - turn - 1) % parts", "theirs = (me - turn) % parts, (me - turn + 1) % parts",
        solved(3, 1, "eager", "device", "nccl"),
    ),
    "an MPI that says no, taken for one that says yes": (
        "flopbench_kernels.cuda.cuda_aware", "if any(answer == 1 for", "if any(answer is not None for", refused
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    tests.make_small(monkeypatch)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_bug_is_caught(name, monkeypatch):
    place, old, new, test = MUTATIONS[name]
    with ExitStack() as stack:
        stack.enter_context(mutated(place, old, new))
        tests.make_small(monkeypatch)
        for waiting in (fake_mpi, nccl):
            monkeypatch.setattr(waiting, "PATIENCE_S", 2.0)
        with pytest.raises((AssertionError, FlopbenchError, ValueError, fake_mpi.Deadlock)):
            test(Scene(monkeypatch))


@pytest.mark.parametrize("name", once_each(MUTATIONS))
def test_the_same_test_passes_without_the_bug(name, monkeypatch):
    MUTATIONS[name][3](Scene(monkeypatch))
