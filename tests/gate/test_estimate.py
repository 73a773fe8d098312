"""The statistics of a comparison: intervals that cover, p-values that are honest, Holm, and their exactness."""

from __future__ import annotations

import itertools
import math
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopbench.compare.estimate import (
    bootstrap_interval,
    change,
    holm,
    median_interval,
    p_not_below,
    shift_interval,
    sign_interval,
)

LOGS = st.lists(st.floats(-1, 1), min_size=1, max_size=24)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_the_exact_bootstrap_equals_the_enumeration_of_all_resamples(n):
    xs = [0.31, -0.2, 0.05, 0.11, 0.4][:n]
    medians = sorted(median(resample) for resample in itertools.product(xs, repeat=n))
    for level in (0.5, 0.8, 0.9):
        rank = math.ceil((1 - level) / 2 * len(medians) - 1e-9) - 1
        upper = math.ceil((1 + level) / 2 * len(medians) - 1e-9) - 1
        found = bootstrap_interval(xs, level)
        assert (found.low, found.high) == pytest.approx((medians[rank], medians[upper]))


@pytest.mark.parametrize("n", [8, 10, 19, 20])
def test_the_exact_bootstrap_agrees_with_a_random_one(n):
    rng = np.random.default_rng(n)
    xs = rng.normal(0, 1, n)
    medians = np.median(rng.choice(xs, (200_000, n)), axis=1)
    found = bootstrap_interval(xs, 0.9)
    # as probabilities, since medians take few values
    assert np.mean(medians < found.low) <= 0.05 + 0.003 <= np.mean(medians <= found.low) + 0.006
    assert np.mean(medians > found.high) <= 0.05 + 0.003 <= np.mean(medians >= found.high) + 0.006


@pytest.mark.parametrize(
    ("n", "level", "low", "high"),
    [(6, 0.95, 1, 6), (7, 0.975, 1, 7), (9, 0.95, 2, 8), (10, 0.95, 2, 9), (20, 0.95, 6, 15)],
)
def test_the_sign_interval_takes_the_tabled_order_statistics(n, level, low, high):
    found = sign_interval(list(range(1, n + 1)), level)
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize(("n", "level"), [(5, 0.95), (6, 0.975), (1, 0.95)])
def test_too_few_values_for_the_level_give_no_bounds_instead_of_false_ones(n, level):
    found = median_interval([0.1] * n, level)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert found.centre == 0.1


def test_no_values_are_an_error():
    with pytest.raises(ValueError, match="no values"):
        median_interval([], 0.95)


@given(LOGS, st.sampled_from([0.9, 0.95, 0.975]))
def test_an_interval_holds_its_centre_and_turns_with_the_sides(xs, level):
    found, swapped = median_interval(xs, level), median_interval([-x for x in xs], level)
    assert found.low <= found.centre <= found.high
    assert swapped.centre == pytest.approx(-found.centre)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), nan_ok=False)


@given(LOGS, st.floats(-1, 1))
def test_the_p_value_falls_as_the_data_move_below_the_bound(xs, bound):
    p = p_not_below(xs, bound)
    assert 2.0 ** (1 - len(xs)) <= p <= 1 or len(xs) == 1
    assert p_not_below([x - 0.1 for x in xs], bound) <= p
    assert p_not_below([x + 3 for x in xs], bound) == 1


def test_the_p_value_never_claims_more_than_a_sign_test_could():
    assert p_not_below([-1.0] * 10, 0.0) == 2.0**-9
    assert p_not_below([-1.0] * 7, 0.0) == 2.0**-6


def test_holm_is_stepwise():
    p = {"a": 0.01, "b": 0.03, "c": 0.04, "d": 0.005}
    assert holm(p, 0.05) == {"a", "d"}  # 0.005 <= 0.05/4, 0.01 <= 0.05/3, 0.03 > 0.05/2, which also stops c
    assert holm({"a": 0.04}, 0.05) == {"a"}
    assert holm({}, 0.05) == set()


def test_the_shift_interval_of_two_samples_matches_a_worked_case():
    # n = m = 5 at 95 %: 2 P(U <= 2) = 8/252 <= 0.05 < 2 P(U <= 3), so the 3rd and the 23rd of 25 differences
    base, head = [1.0, 2.0, 4.0, 7.0, 11.0], [1.5, 3.0, 6.0, 8.5, 13.0]
    ordered = sorted(h - b for h in head for b in base)
    found = shift_interval(base, head, 0.95)
    assert (found.low, found.high) == (ordered[2], ordered[22])
    assert found.centre == median(ordered)


def test_three_against_three_cannot_give_95_percent_and_says_so():
    found = shift_interval([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], 0.95)
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_the_normal_approximation_continues_the_exact_count():
    rng = np.random.default_rng(3)
    base, head = rng.normal(0, 1, 50), rng.normal(0, 1, 50)
    exact = shift_interval(base, head, 0.95)
    near = shift_interval(np.append(base, np.median(base)), head, 0.95)
    assert near.half_width == pytest.approx(exact.half_width, rel=0.1)


@pytest.mark.parametrize(("x", "slow_down"), [(0.0, 0.0), (math.log(2), 0.5), (math.inf, 1.0)])
def test_a_logarithm_as_a_relative_slow_down(x, slow_down):
    assert change(x) == pytest.approx(slow_down)
