"""The GEMM check passes what is right, in every precision, shape and layout, and fails what is wrong."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbench.kernel_api import GemmOutcome, GemmProblem
from flopbench.verify import freivalds
from flopbench.verify.gemm import NO_OVERFLOW_K, check, examine

sys.path.insert(0, str(Path(__file__).parent))
from gemm_products import PRECISIONS, from_bf16, from_e4m3, multiply, operands, product, to_bf16, to_e4m3, to_tf32

FLOATS = tuple(p for p in PRECISIONS if p != "int8")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_correct_product_passes_and_shows_its_ingredients(precision):
    verdict = check(*product(precision))
    assert verdict.verdict == "PASSED", verdict.reason
    assert verdict.ingredients["rounds"] == 2
    assert verdict.ingredients["samples"] == 128
    if precision != "int8":
        assert 0 < verdict.value < 0.5
        share = {"tf32": 0.15, "fp8": 0.3}.get(precision, 0.02)  # rounded operands, sums of 13 bits: the bound is wider
        assert verdict.ingredients["always_visible_error"] < share * verdict.ingredients["typical_element"]


@settings(max_examples=60, deadline=None)
@given(
    precision=st.sampled_from(PRECISIONS),
    m=st.integers(1, 40),
    n=st.integers(1, 40),
    k=st.integers(1, 40),
    layout=st.lists(st.sampled_from(["C", "F", "stride", "reverse"]), min_size=3, max_size=3),
    seed=st.integers(0, 2**32),
)
def test_any_shape_and_any_strides_pass_when_right_and_fail_when_one_element_is_not(precision, m, n, k, layout, seed):
    problem, outcome = product(precision, m, n, k, seed)
    a, b, c = (_lay_out(v, how) for v, how in zip((outcome.a, outcome.b, outcome.c), layout, strict=True))
    outcome = replace(outcome, a=a, b=b, c=c)
    found = check(problem, outcome, seed=seed)
    assert found.verdict == "PASSED", found.reason
    random = np.random.default_rng(seed)
    i, j = random.integers(m), random.integers(n)
    c[i, j] += 1 if precision == "int8" else 1.01 * found.ingredients["always_visible_error"] + abs(c[i, j]) * 1e-6
    assert check(problem, outcome).verdict == "FAILED"


def _lay_out(values: np.ndarray, how: str) -> np.ndarray:
    if how == "F":
        return np.asfortranarray(values)
    if how == "stride":
        wide = np.zeros((2 * values.shape[0], 3 * values.shape[1]), values.dtype)
        wide[::2, ::3] = values
        return wide[::2, ::3]
    if how == "reverse":
        return values[::-1, ::-1].copy()[::-1, ::-1]
    return values.copy()


def _one_element_zero(c, random):
    c[17, 23] = 0


def _swapped_rows(c, random):
    c[[5, 64]] = c[[64, 5]]


def _swapped_columns(c, random):
    c[:, [5, 64]] = c[:, [64, 5]]


def _swapped_neighbours(c, random):
    c[40, [6, 7]] = c[40, [7, 6]]


def _swapped_rows_in_one_column(c, random):
    c[[6, 7], 40] = c[[7, 6], 40]


def _tile_of_zeros(c, random):
    c[32:48, 16:32] = 0


def _last_row_unwritten(c, random):
    c[-1] = 0


def _tile_shifted(c, random):
    c[32:48, 16:32] = c[32:48, 17:33].copy()


def _sign_of_one_row(c, random):
    c[3] = -c[3]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "damage",
    [
        _one_element_zero,
        _swapped_rows,
        _swapped_columns,
        _swapped_neighbours,
        _swapped_rows_in_one_column,
        _tile_of_zeros,
        _last_row_unwritten,
        _tile_shifted,
        _sign_of_one_row,
    ],
    ids=lambda f: f.__name__.strip("_"),
)
def test_a_damaged_product_fails(precision, damage):
    problem, outcome = product(precision)
    damage(outcome.c, np.random.default_rng(2))
    for seed in range(5):
        found = check(problem, outcome, seed=seed)
        assert found.verdict == "FAILED"
        assert found.reason.startswith("C is not A B")


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_single_nan_or_infinity_and_an_unwritten_tile_fail_and_say_where(precision, poison):
    problem, outcome = product(precision)
    outcome.c[60:64, 70:78] = poison
    found = check(problem, outcome)
    assert (found.verdict, found.value) == ("FAILED", None)
    assert "(60, 70)" in found.reason


@pytest.mark.parametrize("precision", ("bf16", "fp16"))
def test_a_product_that_is_stored_in_16_bits_passes_and_still_shows_one_wrong_element(precision):
    problem, outcome = product(precision)
    stored = to_bf16(outcome.c) if precision == "bf16" else outcome.c.astype(np.float16)
    outcome = replace(outcome, c=stored)
    found = check(problem, outcome)
    assert found.verdict == "PASSED", found.reason
    i, j = np.unravel_index(np.argmax(np.abs(multiply(precision, outcome.a, outcome.b))), stored.shape)
    stored[i, j] = 0
    assert check(problem, outcome).verdict == "FAILED"


def _sum_in_fp16(a, b):
    c = np.zeros((a.shape[0], b.shape[1]), np.float16)
    for t in range(a.shape[1]):
        c = (c + a[:, t : t + 1] * b[t : t + 1]).astype(np.float16)
    return c


def test_sums_kept_in_fp16_pass_as_such_and_fail_as_fp32():
    problem, outcome = product("fp16", k=400)
    c = _sum_in_fp16(outcome.a, outcome.b)
    assert check(problem, replace(outcome, c=c, accumulator="float16")).verdict == "PASSED"
    assert check(problem, replace(outcome, c=c.astype(np.float32), accumulator="float32")).verdict == "FAILED"


def test_sums_that_are_cut_off_pass_if_the_kernel_says_so():
    problem, outcome = product("fp32", m=24, n=24, k=600)
    exact = np.zeros((24, 24))
    for t in range(600):
        exact = exact + outcome.a[:, t : t + 1].astype(float) * outcome.b[t : t + 1].astype(float)
        rounded = exact.astype(np.float32)
        over = np.abs(rounded) > np.abs(exact)
        exact = np.where(over, np.nextafter(rounded, np.float32(0)), rounded).astype(float)
    outcome = replace(outcome, c=exact.astype(np.float32), rounding="toward_zero")
    found = check(problem, outcome)
    assert found.verdict == "PASSED"
    assert found.ingredients["growth"] > check(problem, replace(outcome, rounding="nearest")).ingredients["growth"]


def test_a_lower_precision_does_not_pass_as_the_one_that_was_asked_for():
    problem, outcome = product("fp32", k=256)
    assert check(problem, replace(outcome, c=to_tf32(outcome.a) @ to_tf32(outcome.b))).verdict == "FAILED"
    problem, outcome = product("fp64")
    low = (outcome.a.astype(np.float32) @ outcome.b.astype(np.float32)).astype(np.float64)
    assert check(problem, replace(outcome, c=low)).verdict == "FAILED"
    problem, outcome = product("tf32", k=256)
    c = from_bf16(to_bf16(outcome.a)) @ from_bf16(to_bf16(outcome.b))
    # Two bits apart only: one check with fresh weights notices it nearly nine times in ten (130 of 150), so eight are asked.
    assert "FAILED" in {check(problem, replace(outcome, c=c)).verdict for _ in range(8)}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_product_that_lacks_one_term_of_every_sum_fails(precision):
    problem, outcome = product(precision)
    c = multiply(precision, outcome.a[:, :-1], outcome.b[:-1])
    assert check(problem, replace(outcome, c=c)).verdict == "FAILED"


def test_int8_sums_that_saturate_at_16_bits_in_pairs_fail():
    a, b = operands("int8", 32, 32, 64, np.random.default_rng(5))
    a[3, :2], b[:2, 4] = -128, -128
    pairs = np.einsum("ilp,lpj->ijl", a.reshape(32, 32, 2).astype(np.int64), b.reshape(32, 2, 32).astype(np.int64))
    saturated = np.clip(pairs, -(2**15), 2**15 - 1).sum(axis=2).astype(np.int32)
    problem = GemmProblem(32, 32, 64, "int8")
    assert check(problem, GemmOutcome(a, b, saturated, "int32")).verdict == "FAILED"
    assert check(problem, GemmOutcome(a, b, multiply("int8", a, b), "int32")).verdict == "PASSED"


def test_int8_states_up_to_which_k_no_sum_can_overflow():
    assert NO_OVERFLOW_K * 128 * 128 < 2**31 <= (NO_OVERFLOW_K + 1) * 128 * 128
    k = NO_OVERFLOW_K + 1
    a, b = operands("int8", 2, 2, k, np.random.default_rng(6))
    a[0], b[:, 0] = -128, -128
    a[0, 0], b[0, 0] = -127, -128  # the exact sum is 2^31 - 128
    exact = a.astype(np.int64) @ b.astype(np.int64)
    inside = check(GemmProblem(2, 2, k, "int8"), GemmOutcome(a, b, exact.astype(np.int32), "int32"))
    assert (inside.verdict, "none did" in inside.reason) == ("PASSED", True)
    a[0, 0] = -128
    exact = a.astype(np.int64) @ b.astype(np.int64)
    assert exact[0, 0] == 2**31
    outside = check(GemmProblem(2, 2, k, "int8"), GemmOutcome(a, b, exact.astype(np.int32), "int32"))
    assert (outside.verdict, "may have overflowed" in outside.reason) == ("FAILED", True)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_beta_1_adds_what_was_in_c_before(precision):
    problem, outcome = product(precision)
    random = np.random.default_rng(4)
    c0 = random.integers(-99, 99, outcome.c.shape).astype(outcome.c.dtype)
    problem = replace(problem, beta=1)
    assert check(problem, replace(outcome, c=outcome.c + c0, c0=c0)).verdict == "PASSED"
    assert check(problem, replace(outcome, c0=c0)).verdict == "FAILED"
    missing = check(problem, outcome)
    assert (missing.verdict, "beta is 1" in missing.reason) == ("FAILED", True)


@pytest.mark.parametrize("value", [0, 1])
def test_operands_that_are_zero_or_constant_fail_since_they_would_hide_errors(value):
    problem, outcome = product("fp64")
    a = np.full_like(outcome.a, value)
    found = check(problem, replace(outcome, a=a, c=a @ outcome.b))
    assert (found.verdict, "no random matrix" in found.reason) == ("FAILED", True)


def test_types_shapes_and_accumulators_of_another_problem_fail_in_one_line():
    problem, outcome = product("fp32")
    for changed, word in [
        (replace(outcome, a=outcome.a.astype(np.float64)), "A is float64, expected float32"),
        (replace(outcome, b=outcome.b.T), "B has shape (80, 112), expected (112, 80)"),
        (replace(outcome, c=outcome.c.astype(np.float16)), "C is float16, expected float32"),
        (replace(outcome, accumulator="float16"), "accumulator 'float16'"),
        (replace(outcome, c0=outcome.c[:1]), "C0 has shape (1, 80)"),
    ]:
        found = check(problem, changed)
        assert found.verdict == "FAILED"
        assert word in found.reason
        assert "\n" not in found.reason


def test_operands_with_a_nan_fail():
    problem, outcome = product("fp16")
    outcome.a[3, 4] = np.nan
    assert "A holds nan at (3, 4)" in check(problem, outcome).reason


def test_data_without_random_signs_gets_the_larger_bound_that_it_needs():
    """Partial sums of positive numbers grow with k, not with its root; the bound follows what the samples show."""
    random = np.random.default_rng(8)
    a, b = (
        random.uniform(0.5, 1, (64, 3000)).astype(np.float32),
        random.uniform(0.5, 1, (3000, 64)).astype(np.float32),
    )
    c = np.zeros((64, 64), np.float32)
    for t in range(3000):
        c += a[:, t : t + 1] * b[t : t + 1]
    found = check(GemmProblem(64, 64, 3000, "fp32"), GemmOutcome(a, b, c, "float32"))
    assert found.verdict == "PASSED"
    assert found.ingredients["growth"] > 20


def test_the_same_seed_repeats_a_check_and_no_seed_gives_another():
    problem, outcome = product("fp64")
    first, second = (check(problem, outcome, seed=7) for _ in range(2))
    assert first == second
    assert len({check(problem, outcome).ingredients["check_seed"] for _ in range(3)}) == 3


def test_fewer_than_two_rounds_are_refused():
    with pytest.raises(ValueError, match="at least 2"):
        check(*product("fp64"), rounds=1)


def test_fp64_is_checked_in_twofold_precision():
    """The difference of two sums that cancel in float64 comes out right to nearly all bits."""
    random = np.random.default_rng(3)
    a, b = random.uniform(-1, 1, (9, 50)), random.uniform(-1, 1, (50, 7))
    c = a @ b
    x = freivalds.weights(9, 2, 0, random)
    found = freivalds.residual_twofold(x, GemmOutcome(a, b, c, "float64"), threads=2)
    exact = _fractions(x) @ _fractions(c) - (_fractions(x) @ _fractions(a)) @ _fractions(b)
    largest = max(abs(v) for v in exact.ravel())
    assert 0 < largest < 1e-13
    assert max(abs(Fraction(float(f)) - e) for f, e in zip(found.ravel(), exact.ravel(), strict=True)) < 1e-28


def _fractions(values: np.ndarray) -> np.ndarray:
    return np.array([[Fraction(float(v)) for v in row] for row in values], dtype=object)


def test_two_rows_share_a_group_in_at_most_one_of_two_rounds():
    random = np.random.default_rng(0)
    m, groups = 100, 10
    together = [np.abs(w).T @ np.abs(w) > 0 for w in (freivalds.weights(m, groups, turn, random) for turn in (0, 1))]
    assert np.array_equal(together[0] & together[1], np.eye(m, dtype=bool))


def test_column_ratios_show_the_wrong_column():
    problem, outcome = product("fp32")
    outcome.c[50, 33] += 1
    found = check(problem, outcome)
    assert found.ingredients["worst_column"] == 33
    assert "column 33" in found.reason


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_later_repeat_may_differ_by_rounding_and_by_nothing_else(precision):
    problem, outcome = product(precision)
    _, watch = examine(problem, outcome, seed=3)
    other_order = multiply(precision, outcome.a[:, ::-1], outcome.b[::-1])
    assert watch.differing_columns(replace(outcome, c=other_order)).size == 0
    wrong = outcome.c.copy()
    wrong[7, 33] += (
        10 if precision == "fp8" else 1
    )  # one group of all rows, whose bound is that wide for sums of 13 bits
    assert watch.differing_columns(replace(outcome, c=wrong)).tolist() == [33]
    wrong = outcome.c.copy()
    rows = np.arange(96) if precision == "fp8" else np.array([3, 4])
    wrong[rows] = wrong[rows[::-1]]
    assert watch.differing_columns(replace(outcome, c=wrong)).size > 60
    if precision != "int8":
        wrong = outcome.c.copy()
        wrong[8:16, 8:24] = np.nan
        assert watch.differing_columns(replace(outcome, c=wrong)).tolist() == list(range(8, 24))


def test_a_failed_check_gives_nothing_to_hold_later_repeats_against():
    problem, outcome = product("fp32")
    outcome.c[0, 0] += 1
    verdict, watch = examine(problem, outcome)
    assert (verdict.verdict, watch) == ("FAILED", None)


def summed_as_on_hopper(a, b, step=2.0**-13, products=32):
    """FP8 sums with 13 bits of fraction below the largest exponent of 32 products and the sum so far, all else cut off, never promoted."""
    total = np.zeros((a.shape[0], b.shape[1]))
    for first in range(0, a.shape[1], products):
        terms = a[:, first : first + products, None].astype(np.float64) * b[None, first : first + products]
        largest = np.maximum(np.abs(terms).max(axis=1), np.abs(total))
        unit = np.ldexp(step, np.where(largest > 0, np.frexp(largest)[1] - 1, 0))
        total = np.trunc(total / unit) * unit + (np.trunc(terms / unit[:, None]) * unit[:, None]).sum(axis=1)
        unit = np.ldexp(step, np.where(total != 0, np.frexp(total)[1] - 1, 0))
        total = np.trunc(total / unit) * unit
    return total.astype(np.float32)


@pytest.mark.parametrize("k", [32, 112, 1024, 4096])
def test_fp8_sums_of_13_bits_pass_and_use_a_good_part_of_the_bound(k):
    """The bound is made for them: it must not be a hundred times too wide either."""
    a, b = operands("fp8", 24, 20, k, np.random.default_rng(k))
    c = summed_as_on_hopper(from_e4m3(a), from_e4m3(b))
    found = check(GemmProblem(24, 20, k, "fp8"), GemmOutcome(a, b, c, "float32", rounding="toward_zero"), seed=1)
    assert found.verdict == "PASSED", found.reason
    assert found.value > 0.005


@pytest.mark.parametrize("k", [112, 1024, 4096])
def test_fp8_sums_in_halves_of_those_bits_or_that_lack_a_block_fail(k):
    a, b = operands("fp8", 96, 80, k, np.random.default_rng(k))
    problem = GemmProblem(96, 80, k, "fp8")
    wide = from_e4m3(a), from_e4m3(b)
    coarse = summed_as_on_hopper(*wide, step=2.0**-6)
    lacking = wide[0][:, : k - k // 8] @ wide[1][: k - k // 8]
    for c in (coarse, lacking):
        outcome = GemmOutcome(a, b, c, "float32", rounding="toward_zero")
        assert check(problem, outcome, seed=1).verdict == "FAILED"


def test_fp8_operands_read_as_the_other_format_or_cut_to_fewer_bits_fail():
    problem, outcome = product("fp8", k=256)
    as_e5m2 = [(v.astype(np.uint16) << 8).view(np.float16).astype(np.float32) for v in (outcome.a, outcome.b)]
    fewer = [from_e4m3(v & np.uint8(0xFE)) for v in (outcome.a, outcome.b)]
    for a, b in (as_e5m2, fewer):
        with np.errstate(invalid="ignore"):
            assert check(problem, replace(outcome, c=a @ b)).verdict == "FAILED"


def test_every_fp8_number_is_widened_exactly():
    from flopbench_kernels.gemm_operands import e4m3_bits

    from flopbench.verify.operands import widen

    patterns = np.arange(256, dtype=np.uint8)
    numbers = (patterns & 0x7F) != 0x7F
    values = widen(patterns)
    np.testing.assert_array_equal(values[numbers], from_e4m3(patterns[numbers]))
    assert np.isnan(values[~numbers]).all()
    assert (values[numbers].max(), np.abs(values[1]), values[126]) == (448.0, 2.0**-9, 448.0)
    np.testing.assert_array_equal(e4m3_bits(values[numbers].astype(np.float32)), patterns[numbers])
    between = np.float32([0.0625 + 0.0078125 / 2, 0.0625 + 0.0078125 * 1.5, 2.0**-10, 3 * 2.0**-10, -0.3])
    np.testing.assert_array_equal(widen(e4m3_bits(between)), [0.0625, 0.078125, 0.0, 2.0**-8, -0.3125])
    assert to_e4m3(np.array([0.46875]))[0] == e4m3_bits(np.float32([0.46875]))[0]
