"""The performance model: its sums against hand counts, its constants back from runs that it made itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopbench.lu_model import PHASES, LuModel, Measured, Network, OnGrid, Shape, waiting, work

NETWORK = Network(2e-6, 2e-9)
GRIDS = st.sampled_from([(1, 2), (2, 1), (2, 2), (2, 4), (8, 16)])


def test_the_work_of_two_block_columns_is_what_one_counts_by_hand():
    found = work(Shape(n=8, nb=4, p=2, q=2))
    assert found["panel"] == pytest.approx(((4 - 4 / 3) * 16 + (2 - 4 / 3) * 16) / 2)
    assert found["broadcast"] == (8 * 4 + 4 * 4) / 2
    assert found["swap"] == 3 * (8 * 4 + 4 * 4) / 2
    assert found["update"] == (8 * 16 + 4 * 16) / 2 + 2 * (64 * 4 + 16 * 4) / 4
    assert found["solve"] == 16


def test_the_update_comes_near_two_thirds_of_n_cubed_over_the_ranks():
    assert work(Shape(100_000, 192, 4, 8))["update"] * 32 == pytest.approx(2 / 3 * 1e15, rel=0.02)


def test_a_side_of_one_rank_sends_nothing():
    assert work(Shape(1000, 100, 1, 4))["swap"] == work(Shape(1000, 100, 4, 1))["broadcast"] == 0
    alone = waiting(Shape(1000, 100, 1, 1), NETWORK)
    assert alone == dict.fromkeys(PHASES, 0.0)


def test_the_pivots_of_a_process_column_cost_latency_by_the_logarithm_of_p():
    two, eight = (waiting(Shape(1000, 100, p, 1), NETWORK)["panel"] for p in (2, 8))
    assert two == pytest.approx(1000 * (2e-6 + 2 * 2e-9 * 100)) and eight == pytest.approx(3 * two)


@given(
    grid=GRIDS,
    rates=st.lists(st.floats(1e-12, 1e-8), min_size=5, max_size=5),
    stretch=st.floats(0.5, 20.0),
    overhead=st.floats(0.0, 0.5),
)
def test_two_runs_of_the_model_give_the_model_back(grid, rates, stretch, overhead):
    truth = LuModel(dict(zip(PHASES, rates, strict=True)), dict.fromkeys(PHASES, stretch), overhead, NETWORK)
    runs = [
        Measured(shape, truth.phases(shape), truth.seconds(shape))
        for shape in (Shape(n, 192, *grid) for n in (1000, 2500))
    ]
    found = LuModel.fit(*runs, NETWORK)
    longer = Shape(20_000, 192, *grid)
    for name in PHASES:
        if work(longer)[name]:
            assert found.phases(longer)[name] == pytest.approx(truth.phases(longer)[name], rel=1e-3)


def test_noise_that_would_give_a_negative_rate_is_read_as_one_rate():
    shapes = Shape(1000, 192, 2, 1), Shape(2500, 192, 2, 1)
    falling = [Measured(shape, {"panel": seconds}, seconds) for shape, seconds in zip(shapes, (1.0, 0.1), strict=True)]
    rising = [Measured(shape, {"panel": seconds}, seconds) for shape, seconds in zip(shapes, (1e-9, 9.0), strict=True)]
    for runs in (falling, rising):
        model = LuModel.fit(*runs, NETWORK)
        assert model.per_unit["panel"] >= 0 and model.stretch["panel"] >= 0
        assert model.phases(shapes[1])["panel"] == pytest.approx(runs[1].phases["panel"])


@given(seconds=st.floats(0.1, 1e4), grid=GRIDS)
def test_the_largest_n_fits_the_time_and_the_next_does_not(seconds, grid):
    model = LuModel(dict.fromkeys(PHASES, 1e-10), dict.fromkeys(PHASES, 1.0), 0.1, NETWORK)
    on_grid = OnGrid(model, 192, *grid)
    n = on_grid.largest_n(seconds)
    assert on_grid.seconds(n) <= seconds < on_grid.seconds(n + 2)
