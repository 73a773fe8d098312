"""Is C = A B (+ C0)? Freivalds' check, sampled elements, and a bound from the unit roundoff and the partial sums; exact for INT8.

    Given     A, B, C (and C0) as the kernel held them; weights and samples drawn after the run, so that no kernel can know them
    Claim     for every group of rows g and column j       |(X C - (X A) B)_gj|  <  lambda sqrt(V_gj)
              for every sampled element                    |C_ij - (A B)_ij|     <  lambda sqrt(V_ij)
    with      V_ij = (u G ||a_i|| ||b_j||)^2 + output rounding,  V_gj the same summed with the squared weights
    INT8      both differences are zero, in integers
    Cost      a few passes over A, B and C per round; never a stored copy of one of them

docs/method.md derives the bound and says what it can and cannot see.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flopbench.kernel_api import GemmOutcome, GemmProblem
from flopbench.precision import ACCUMULATOR_ROUNDOFF, precision
from flopbench.results import Verification
from flopbench.verify import freivalds
from flopbench.verify.bound import bound_of
from flopbench.verify.operands import squared_norms, widen
from flopbench.verify.preconditions import not_finite, not_random, wrong_shape
from flopbench.verify.repeats import Watch
from flopbench.verify.samples import Samples, take

ROUNDS = 2
VISIBLE = 2e-3  # groups are made so small that one wrong element shows from this fraction of C's typical size on
MAX_GROUPS = 256
MAX_GROUPS_TWOFOLD = 4
NO_OVERFLOW_K = (2**31 - 1) // 2**14  # 131071: as long as k is not larger, |sum of k products of int8| < 2^31

CHECK_FLOAT = "max |X C - (X A) B| / (lambda sqrt(V)) over groups, columns, rounds and sampled elements"
CHECK_INTEGER = "columns where x C differs from (x A) B modulo 2^64, plus sampled elements that differ"

Ingredients = dict[str, float | int | str | None]


def check(
    problem: GemmProblem, outcome: GemmOutcome, *, rounds: int = ROUNDS, seed: int | None = None, threads: int = 1
) -> Verification:
    """PASSED or FAILED with all ingredients. `seed` repeats the weights and samples of an earlier check; else they are new."""
    return examine(problem, outcome, rounds=rounds, seed=seed, threads=threads)[0]


def examine(
    problem: GemmProblem, outcome: GemmOutcome, *, rounds: int = ROUNDS, seed: int | None = None, threads: int = 1
) -> tuple[Verification, Watch | None]:
    """The same, and if it PASSED a Watch that holds later repeats against this one."""
    if rounds < 2:
        raise ValueError(f"rounds must be at least 2, got {rounds}")
    seed = secrets.randbits(63) if seed is None else seed
    exact = precision(problem.precision).operand == "int8"
    ingredients: Ingredients = {
        "m": problem.m,
        "n": problem.n,
        "k": problem.k,
        "rounds": rounds,
        "check_seed": str(seed),
        "accumulator": outcome.accumulator,
    }
    random = np.random.default_rng(seed)
    fault = wrong_shape(problem, outcome) or not_finite(outcome) or not_random(outcome)
    if fault:
        found = _Finding(None, None, False, fault)
    elif exact:
        found = _judge_integer(problem, outcome, rounds, random, ingredients)
    else:
        found = _judge_float(problem, outcome, rounds, random, threads, ingredients)
    verification = Verification(
        verdict="PASSED" if found.passed else "FAILED",
        reason=found.reason,
        check=CHECK_INTEGER if exact else CHECK_FLOAT,
        value=found.value if found.value is not None and math.isfinite(found.value) else None,
        threshold=found.threshold,
        ingredients=ingredients,
    )
    return verification, found.watch() if found.passed else None


@dataclass(frozen=True)
class _Finding:
    value: float | None
    threshold: float | None
    passed: bool
    reason: str
    watch: Callable[[], Watch | None] = lambda: None


def _judge_float(
    problem: GemmProblem,
    outcome: GemmOutcome,
    rounds: int,
    random: np.random.Generator,
    threads: int,
    ingredients: Ingredients,
) -> _Finding:
    twofold = problem.precision == "fp64"
    limit = MAX_GROUPS_TWOFOLD if twofold else MAX_GROUPS
    samples = take(outcome, random)
    norms2 = squared_norms(outcome.a, 1), squared_norms(outcome.b, 0)
    bound = bound_of(problem, outcome, samples, rounds * limit * problem.n + samples.rows.size)
    size = math.sqrt(float(np.mean(samples.exact**2)))
    scale = math.sqrt(float(np.mean(norms2[0])) * float(np.mean(norms2[1])))
    groups = _groups(problem.m, limit, bound.typical * scale, size)

    zero = np.zeros_like(samples.exact)
    start = zero if outcome.c0 is None else widen(outcome.c0[samples.rows, samples.columns])
    sampled = np.abs(samples.found - samples.exact)
    sample_ratios = _ratios(sampled, bound.of_elements(samples.scale, start, samples.found))
    column_ratios = np.zeros(problem.n)
    largest = 0.0
    for turn in range(rounds):
        x = freivalds.weights(problem.m, groups, turn, random)
        r = freivalds.residual_twofold(x, outcome, threads) if twofold else freivalds.residual(x, outcome)
        allowed = bound.of_groups(x, *norms2, outcome)
        largest = max(largest, float(allowed.max()))
        column_ratios = np.maximum(column_ratios, _ratios(np.abs(r), allowed).max(axis=0))
    ratio, ratio_samples = float(column_ratios.max()), float(sample_ratios.max())
    value = float(np.maximum(ratio, ratio_samples))
    ingredients.update(
        groups=groups,
        samples=int(samples.rows.size),
        unit_roundoff=ACCUMULATOR_ROUNDOFF[outcome.accumulator],
        growth=bound.sums / ACCUMULATOR_ROUNDOFF[outcome.accumulator],
        tail=bound.tail,
        typical_element=size,
        always_visible_error=2.0 * largest,
        worst_freivalds_ratio=ratio if math.isfinite(ratio) else None,
        worst_sample_ratio=ratio_samples if math.isfinite(ratio_samples) else None,
        worst_column=int(np.argmax(column_ratios)),
        largest_sample_error=float(sampled.max()),
    )
    if value < 1.0:
        reason = f"largest error is {value:.2e} of the bound, in {rounds} rounds and {sampled.size} samples"
        return _Finding(value, 1.0, True, reason, lambda: Watch(outcome, random, bound, *norms2))
    worst = int(np.argmax(sample_ratios))
    where = f"element {_at(samples, worst)}" if ratio < 1.0 else f"column {int(np.argmax(column_ratios))}"
    return _Finding(value, 1.0, False, f"C is not A B: {value:.3g} times the error bound in {where}")


def _judge_integer(
    problem: GemmProblem, outcome: GemmOutcome, rounds: int, random: np.random.Generator, ingredients: Ingredients
) -> _Finding:
    samples = take(outcome, random)
    differing = np.flatnonzero(samples.found != samples.exact)
    columns: set[int] = set()
    for _ in range(rounds):
        columns.update(freivalds.wrong_columns(outcome, random).tolist())
    ingredients.update(
        samples=int(samples.rows.size),
        wrong_columns=len(columns),
        wrong_samples=int(differing.size),
        no_overflow_up_to_k=NO_OVERFLOW_K,
    )
    safe = problem.k <= NO_OVERFLOW_K
    about = "no sum can overflow 32 bits" if safe else f"k > {NO_OVERFLOW_K}, where sums may overflow 32 bits; none did"
    value = float(len(columns) + differing.size)
    if value == 0:
        reason = f"exact in {rounds} rounds and {samples.rows.size} samples; {about}"
        return _Finding(value, 0.0, True, reason, lambda: Watch(outcome, random))
    where = f"column {min(columns)}" if columns else f"element {_at(samples, int(differing[0]))}"
    hint = "" if safe else f"; k > {NO_OVERFLOW_K}, so a sum may have overflowed 32 bits"
    return _Finding(value, 0.0, False, f"C is not A B: {len(columns)} columns differ, first seen in {where}{hint}")


def _groups(m: int, limit: int, error: float, size: float) -> int:
    """Into how many groups to put m rows: 2 error sqrt(7/3 m/groups) <= VISIBLE size, as far as `limit` allows. 7/3 is E[x^2]."""
    if size == 0.0:
        return min(m, limit)
    wanted = 7.0 / 3.0 * m * (2.0 * error / (VISIBLE * size)) ** 2
    return max(1, min(m, limit, math.ceil(wanted)))


def _ratios(error: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """error / allowed, elementwise; 0 / 0 is fine, and a NaN stays one, so that nothing compares as smaller than it."""
    return np.divide(error, allowed, out=np.where(error == 0, 0.0, np.inf), where=allowed > 0)


def _at(samples: Samples, index: int) -> str:
    return f"({samples.rows[index]}, {samples.columns[index]})"
