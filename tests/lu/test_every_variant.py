"""Every grid, broadcast, row exchange, recursion, depth and map, sampled, on one to six ranks: LAPACK's pivots, HPL's residual.

The ranks are threads over fake MPI (fake_mpi.py), which buffers nothing; test_real_mpi.py repeats a sample on real ranks.
"""

import random
import time

import numpy as np
import pytest
from flopbench_kernels.lu_blockcyclic.broadcast import WAYS
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from flopbench.comm import SelfComm
from flopbench.kernel_api import LuTuning

from .cases import FACTS, GRIDS, Case, faults
from .fake_mpi import run_ranks

tunings = st.builds(
    LuTuning,
    pmap=st.sampled_from(("row", "column")),
    depth=st.integers(0, 4),
    bcast=st.sampled_from(sorted(WAYS)),
    rfact=st.sampled_from(FACTS),
    ndiv=st.integers(2, 5),
    pfact=st.sampled_from(FACTS),
    nbmin=st.integers(1, 20),
    swap=st.sampled_from(("binexch", "long", "mix")),
    swap_threshold=st.integers(0, 150),
    align=st.sampled_from((1, 4, 8)),
)


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    with threadpool_limits(1, user_api="blas"):
        yield


def check(case, ranks, delay=None):
    results = run_ranks(ranks, case.run, delay)
    for rank, (x, pivots) in enumerate(results):
        assert not faults(case, x, pivots), f"rank {rank} of {case}"
        assert np.array_equal(x, results[0][0])


@given(
    n=st.integers(1, 300),
    nb=st.integers(1, 64),
    threads=st.integers(1, 3),
    tuning=tunings,
    update=st.sampled_from(("own", "blas")),
)
@settings(max_examples=60, deadline=None, print_blob=True)
def test_one_process(n, nb, threads, tuning, update):
    case = Case(n, nb, threads=threads, tuning=tuning, update=update)
    assert not faults(case, *case.run(SelfComm())), case


@given(
    n=st.integers(1, 300),
    nb=st.integers(1, 64),
    grid=st.sampled_from(GRIDS),
    spare=st.integers(0, 1),
    threads=st.integers(1, 2),
    tuning=tunings,
    update=st.sampled_from(("own", "blas")),
)
@settings(max_examples=60, deadline=None, print_blob=True)
def test_any_grid_of_up_to_six_ranks(n, nb, grid, spare, threads, tuning, update):
    case = Case(n, nb, *grid, threads=threads, tuning=tuning, update=update)
    check(case, case.p * case.q + spare)


@pytest.mark.parametrize("grid", [(1, 2), (2, 1), (2, 2), (2, 3), (3, 2)])
@pytest.mark.parametrize("bcast", ["1ring", "1ringM", "2ring", "2ringM", "long", "longM", "mpi"])
def test_every_broadcast_on_every_usual_grid(grid, bcast):
    check(Case(97, 8, *grid, tuning=LuTuning(bcast=bcast, depth=2)), grid[0] * grid[1])


@pytest.mark.parametrize("bcast", ["1ring", "1ringM", "2ring", "2ringM", "long", "longM", "mpi"])
def test_every_broadcast_on_a_long_row(bcast):
    check(Case(60, 5, 1, 6, tuning=LuTuning(bcast=bcast)), 6)


@pytest.mark.parametrize("p", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("swap", ["binexch", "long"])
def test_every_row_exchange_on_every_height(p, swap):
    check(Case(90, 7, p, 1, tuning=LuTuning(swap=swap)), p)


@pytest.mark.parametrize("rfact", FACTS)
@pytest.mark.parametrize("pfact", FACTS)
@pytest.mark.parametrize("grid", [(1, 1), (3, 1)])
def test_every_recursion_takes_lapacks_pivots(grid, pfact, rfact):
    check(Case(130, 48, *grid, tuning=LuTuning(pfact=pfact, rfact=rfact, ndiv=3, nbmin=5)), grid[0])


@pytest.mark.parametrize("seed", range(20))
def test_random_delays_before_every_message_do_not_stop_it(seed):
    draw = random.Random(seed)
    grid = draw.choice([(1, 4), (2, 2), (4, 1), (2, 3), (3, 2)])
    tuning = LuTuning(
        depth=draw.randrange(4),
        bcast=draw.choice(["1ring", "1ringM", "2ringM", "long", "longM"]),
        swap=draw.choice(["binexch", "long"]),
    )
    slow = draw.randrange(grid[0] * grid[1])  # one rank is always late

    def delay(rank):
        if rank == slow or draw.random() < 0.1:
            time.sleep(draw.random() * 4e-4)

    check(Case(48, 6, *grid, tuning=tuning), grid[0] * grid[1], delay)


def test_x_is_the_same_to_rounding_on_every_grid():
    alone, _ = Case(200, 24).run(SelfComm())
    for p, q in ((1, 2), (2, 1), (2, 2), (3, 2)):
        for x, _ in run_ranks(p * q, Case(200, 24, p, q).run):
            np.testing.assert_allclose(x, alone, rtol=1e-9)
