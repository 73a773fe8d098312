"""Choices are pure functions of what they are given, and each has its reason."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopbench import plan
from flopbench.errors import BadInput
from flopbench.flops import lu_solve_flops
from flopbench.machine.model import Limits

GIB = 1 << 30
ROOM = plan.Room(16 * GIB, "memory available now")


@given(r_inf=st.floats(1e9, 1e15), n_half=st.floats(1, 2000))
def test_the_model_gives_back_the_curve_it_was_fitted_to(r_inf, n_half):
    truth = plan.RateModel(r_inf, n_half)
    found = plan.RateModel.fit(1000, truth.seconds(1000), 2500, truth.seconds(2500))
    assert found.seconds(20000) == pytest.approx(truth.seconds(20000), rel=1e-3)


def test_noise_that_would_promise_the_moon_is_read_as_a_flat_rate():
    fast_then_slow = plan.RateModel.fit(1000, 0.01, 2500, 1.0)
    assert fast_then_slow == plan.RateModel(lu_solve_flops(2500) / 1.0, 0.0)
    steep = plan.RateModel.fit(1000, 1.0, 2500, 1.001)
    assert steep.r_inf <= 4.001 * lu_solve_flops(2500) / 1.001


@given(seconds=st.floats(0.01, 1e6), r_inf=st.floats(1e9, 1e16), n_half=st.floats(0, 5000))
def test_the_largest_n_fits_the_time_and_the_next_does_not(seconds, r_inf, n_half):
    model = plan.RateModel(r_inf, n_half)
    n = model.largest_n(seconds)
    assert n == 1 or model.seconds(n) <= seconds
    assert model.seconds(n + 1) > seconds or n + 1 >= plan.N_LIMIT


@given(size=st.integers(10**6, 10**15), fraction=st.floats(0.01, 0.95))
def test_the_matrix_of_the_largest_n_fits_its_share_of_memory(size, fraction):
    n = plan.Room(size, "").largest_n(fraction)
    assert 8 * n * (n + 1) <= size * fraction
    assert 8 * 1.03 * (n + 3) ** 2 > size * fraction


def test_memory_bounds_an_n_that_time_would_allow():
    n, reason = plan.choose_n_by_time(plan.RateModel(1e15, 0.0), 45, 3, 192, ROOM)
    assert n == plan.round_to_blocks(ROOM.largest_n(plan.MEMORY_FRACTION), 192)
    assert "80.0 % of 16.00 GiB" in reason


def test_n_by_time_makes_all_repeats_fit():
    model = plan.RateModel(80e9, 300.0)
    n, reason = plan.choose_n_by_time(model, 45, 3, 192, ROOM)
    assert n % 192 == 0
    assert 40 < 3 * model.seconds(n) <= 45
    assert "--time 45" in reason


@pytest.mark.parametrize("fraction", [0.0, -1.0, 0.96, 2.0, math.nan, math.inf])
def test_a_memory_fraction_outside_its_range_is_refused(fraction):
    with pytest.raises(BadInput, match="allowed: above 0, up to 0.95"):
        plan.choose_n_by_memory(fraction, 192, ROOM)


def test_an_n_beyond_memory_names_the_largest_that_fits():
    with pytest.raises(
        BadInput, match=r"--n 1000000 needs 7\.28 TiB, but 16\.00 GiB are available .* about --n 4\d{4}"
    ):
        plan.check_n(10**6, 8 * 10**12, ROOM)


@pytest.mark.parametrize(("predicted", "repeats"), [(60.0, 1), (45.0, 1), (22.0, 2), (15.0, 3), (0.001, 3), (0.0, 3)])
def test_repeats_fit_the_budget(predicted, repeats):
    assert plan.choose_repeats(predicted, 45)[0] == repeats


@pytest.mark.parametrize(("n", "nb", "expected"), [(1000, 192, 960), (192, 192, 192), (100, 192, 100), (1, 1, 1)])
def test_n_ends_in_a_whole_block_where_it_has_one(n, nb, expected):
    assert plan.round_to_blocks(n, nb) == expected


def test_threads_are_the_usable_cores_shared_by_the_ranks_of_the_host():
    limits = Limits(affinity_cpus=16, affinity_cores=8, usable_cores=8)
    assert plan.choose_threads(None, limits, 1)[0] == 8
    assert plan.choose_threads(None, limits, 4)[0] == 2
    assert plan.choose_threads(None, limits, 64)[0] == 1
    assert plan.choose_threads(3, limits, 1)[0] == 3
    quota = Limits(affinity_cpus=2, affinity_cores=2, quota_cpus=1.5, usable_cores=1)
    threads, line = plan.choose_threads(None, quota, 1)
    assert (threads, "1.5 CPUs" in line.reason) == (1, True)


@pytest.mark.parametrize(("isa", "nb"), [({"avx2"}, "192"), ({"avx512f", "avx2"}, "384"), (set(), "192")])
def test_nb_follows_the_vector_width(isa, nb):
    assert plan.choose_nb(frozenset(isa)).value == nb


def test_a_grid_larger_than_the_ranks_is_refused_with_the_command_that_works():
    with pytest.raises(BadInput, match="needs 6 ranks, there are 2; start it with: mpiexec -n 6"):
        plan.check_grid(2, 3, 2)
    plan.check_grid(1, 2, 2)
