"""The protocol on synthetic machines: it alarms on regressions and not on noise, says when it does not know, and confirms."""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from flopbench.gate.pairs import BASE, HEAD, Leg, Limits, Pair, balanced_order
from flopbench.gate.protocol import Rules, decide

sys.path.insert(0, str(Path(__file__).parent))
from gate_synthetic import MACHINES, Machine, synthetic

STILL = (100.0, 100.0, 100.0)


def pair(ratio: float, metric: str = "hpl", controls=STILL, **legs) -> Pair:
    base, head = Leg(BASE, {metric: 50.0}), Leg(HEAD, {metric: 50.0 * ratio}, **legs)
    return Pair((base, head), controls)


class Scripted:
    """A `measure` that plays batches of pairs in turn and keeps what was asked of it."""

    def __init__(self, *batches):
        self.batches = list(batches)
        self.asked: list[tuple[list[str], int]] = []

    def __call__(self, metrics, count):
        self.asked.append((list(metrics), count))
        return self.batches.pop(0)


def noisy(ratio: float, count: int = 10, metric: str = "hpl") -> list[Pair]:
    return [pair(ratio * math.exp(0.01 * (i - count / 2) / count), metric) for i in range(count)]


def wild(count: int = 10) -> list[Pair]:
    return [pair(ratio) for ratio in ([0.7, 1.3] * count)[:count]]


def one(measure, **rules):
    return decide({"hpl": "FLOP/s"}, measure, Rules(**rules))[0]


def test_equal_sides_are_the_same_after_ten_pairs():
    measure = Scripted(noisy(1.0))
    verdict = one(measure)
    assert (verdict.word, verdict.exit_code, verdict.n) == ("same", 0, 10)
    assert measure.asked == [(["hpl"], 10)]


def test_a_regression_is_told_only_after_a_second_batch():
    measure = Scripted(noisy(0.8), noisy(0.8))
    verdict = one(measure)
    assert (verdict.word, verdict.exit_code) == ("slower", 1)
    assert "second batch" in verdict.reason and verdict.confirmation is not None
    assert measure.asked == [(["hpl"], 10), (["hpl"], 10)]


def test_a_regression_that_does_not_recur_is_inconclusive():
    verdict = one(Scripted(noisy(0.8), noisy(1.0)))
    assert (verdict.word, verdict.exit_code) == ("inconclusive", 3)
    assert "same in a second" in verdict.reason


def test_a_second_batch_that_is_disturbed_makes_it_contaminated():
    moved = [pair(0.8, controls=(100, 100, 80))] * 10
    verdict = one(Scripted(noisy(0.8), moved, moved))
    assert verdict.word == "contaminated"
    assert len(verdict.dropped) == 20 and "second batch" in verdict.dropped[0]


def test_what_ten_pairs_leave_open_is_extended_once_to_twenty():
    measure = Scripted(wild(), wild())
    verdict = one(measure)
    assert (verdict.word, verdict.exit_code, verdict.n) == ("inconclusive", 3, 20)
    assert measure.asked == [(["hpl"], 10), (["hpl"], 10)]


def test_a_faster_head_passes_and_is_called_faster():
    verdict = one(Scripted(noisy(1.3)))
    assert (verdict.word, verdict.exit_code) == ("faster", 0)


def test_only_what_is_open_is_measured_further():
    def both(ratio_a, ratio_b):
        return [
            Pair((Leg(BASE, {"a": 1.0, "b": 1.0}), Leg(HEAD, {"a": a.legs[1].rates["a"] / 50, "b": b})), STILL)
            for a, b in zip(noisy(ratio_a, metric="a"), ratio_b, strict=True)
        ]

    measure = Scripted(both(0.7, [0.7, 1.3] * 5), [pair(r, "b") for r in [0.7, 1.3] * 5], noisy(0.7, metric="a"))
    verdicts = {v.metric: v.word for v in decide({"a": "FLOP/s", "b": "OP/s"}, measure, Rules())}
    assert verdicts == {"a": "slower", "b": "inconclusive"}
    assert measure.asked == [(["a", "b"], 10), (["b"], 10), (["a"], 10)]


def test_among_many_metrics_a_weak_sign_of_one_is_not_enough():
    """Eight of nine pairs below the limit: enough for one metric, not for one of ten (Holm)."""
    names = [f"m{i}" for i in range(10)]

    def pairs(metrics, count):
        ratios = [0.88] * (count - 1) + [0.95]
        return [
            Pair(
                (Leg(BASE, dict.fromkeys(metrics, 1.0)), Leg(HEAD, {m: r if m == "m0" else 1.0 for m in metrics})),
                STILL,
            )
            for r in ratios
        ]

    alone = decide({"m0": "FLOP/s"}, pairs, Rules(looks=(9,)))
    among = decide(dict.fromkeys(names, "FLOP/s"), pairs, Rules(looks=(9,)))
    assert alone[0].word == "slower"
    assert among[0].word == "inconclusive" and "chance" in among[0].reason


def test_pairs_whose_control_moved_do_not_count():
    verdict = one(Scripted([*noisy(1.0, 7), *[pair(0.1, controls=(100, 94, 100))] * 3]))
    assert (verdict.word, verdict.n, len(verdict.dropped)) == ("same", 7, 3)
    assert verdict.dropped[0] == "pair 8: control moved by 6.4%"


def test_more_than_a_third_dropped_is_contaminated_whatever_the_rest_says():
    bad = [pair(0.5, controls=(100, 94, 100))] * 4
    verdict = one(Scripted([*noisy(0.5, 6), *bad], [*noisy(0.5, 6), *bad]))
    assert (verdict.word, verdict.exit_code) == ("contaminated", 3)


@pytest.mark.parametrize(
    ("disturbed", "reason"),
    [
        (pair(1.0, steal=0.06), "6.0% of CPU time stolen by the hypervisor"),
        (pair(1.0, neighbour=0.5), "other processes had 50.0% more of the CPUs in one leg than in the other"),
        (pair(1.0, controls=(100, 106, 100)), "control moved by 6.0%"),
        (pair(1.0, controls=(100, 104, 100), steal=0.04, neighbour=0.04), ""),
    ],
)
def test_a_pair_is_dropped_for_drift_steal_or_an_uneven_neighbour(disturbed, reason):
    assert disturbed.why_drop(Limits()) == reason


def test_a_neighbour_that_both_legs_had_to_bear_is_fair():
    base, head = Leg(BASE, {"hpl": 1.0}, neighbour=0.4), Leg(HEAD, {"hpl": 1.0}, neighbour=0.42)
    assert Pair((base, head), STILL).why_drop(Limits()) == ""


def test_a_wrong_result_is_a_failure_and_is_not_measured_on():
    measure = Scripted([pair(2.0, failures={"hpl": "residual 1e9"})])
    verdict = one(measure)
    assert verdict.exit_code == 1 and verdict.failures == ["head: verification FAILED: residual 1e9"]
    assert len(measure.asked) == 1


def test_a_wrong_result_in_the_second_batch_is_a_failure_too():
    verdict = one(Scripted(noisy(0.8), [pair(0.8, failures={"hpl": "residual 1e9"})]))
    assert verdict.exit_code == 1 and verdict.failures


def test_a_budget_that_ends_before_the_first_pair_is_inconclusive_never_a_pass():
    verdict = one(Scripted([]))
    assert (verdict.word, verdict.exit_code) == ("inconclusive", 3)


def test_a_budget_that_ends_early_leaves_a_verdict_on_what_there_is():
    measure = Scripted(noisy(1.0, 4))
    verdict = one(measure)
    assert verdict.word == "inconclusive" and "too few" in verdict.reason
    assert "ended early, after 4 of 10 pairs" in verdict.reason
    assert len(measure.asked) == 1


@pytest.mark.parametrize("pairs", [10, 7])
def test_the_order_is_balanced_and_shuffled(pairs):
    orders = [balanced_order(pairs, random.Random(seed)) for seed in range(50)]
    assert all(abs(Counter(order)[BASE] - Counter(order)[HEAD]) == pairs % 2 for order in orders)
    assert len({tuple(order) for order in orders}) > 30


RUNS = 150


@pytest.mark.parametrize("name", MACHINES)
def test_noise_alone_is_hardly_ever_called_slower(name):
    words = Counter(one(synthetic(MACHINES[name], {"hpl": 1.0}, seed)).word for seed in range(RUNS))
    assert words["slower"] == 0
    assert words["same"] >= 0.9 * RUNS


@pytest.mark.parametrize("name", MACHINES)
def test_a_slow_down_right_at_the_threshold_is_rarely_passed_and_rarely_called(name):
    measured = [one(synthetic(MACHINES[name], {"hpl": 0.9}, seed)) for seed in range(RUNS)]
    assert sum(v.exit_code == 0 for v in measured) <= 0.08 * RUNS
    assert sum(v.word == "slower" for v in measured) <= 0.02 * RUNS


@pytest.mark.parametrize(("ratio", "least"), [(0.85, 0.95), (0.75, 1.0)])
def test_a_real_slow_down_is_found(ratio, least):
    machine = Machine(noise=0.02, drift=0.1)
    words = Counter(one(synthetic(machine, {"hpl": ratio}, seed)).word for seed in range(RUNS))
    assert words["slower"] >= least * RUNS
    assert words["same"] == words["faster"] == 0
