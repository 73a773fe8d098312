"""Estimates of a ratio of rates and of their uncertainty. Pure functions of logarithms; no random numbers.

Everything works on x = ln(head rate / base rate), so that "twice as fast" and "half as fast" are equally far from 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, median

import numpy as np

#: From this many pairs on the bootstrap of the median is used; below, the exact sign interval.
BOOTSTRAP_FROM = 8
#: Up to this product of sample sizes the null distribution of the rank sum is counted out.
EXACT_RANK_SUM_TO = 2500


@dataclass(frozen=True)
class Interval:
    """A two-sided interval of x = ln(ratio); infinite bounds where there are too few data for the level."""

    centre: float
    low: float
    high: float
    level: float
    method: str

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def ratios(self) -> tuple[float, float, float]:
        """Ratio, lower and upper bound: (exp(centre), exp(low), exp(high))."""
        return math.exp(self.centre), math.exp(self.low), math.exp(self.high) if self.high < math.inf else math.inf


def log_ratio_of_neighbours(base_s: Sequence[float], head_s: Sequence[float]) -> float:
    """x of two runs whose repeats took turns: the median over neighbours in time of ln(base seconds / head seconds)."""
    return median(math.log(b / h) for b, h in zip(base_s, head_s, strict=False))


def change(x: float) -> float:
    """The relative slow-down 1 - exp(-x) that lies x >= 0 below a ratio of one; 1 for infinity."""
    return -math.expm1(-x)


def median_interval(xs: Sequence[float], level: float) -> Interval:
    """Interval of the median of paired log ratios. Needs at least one value; raises ValueError on none."""
    if not len(xs):
        raise ValueError("no values to take an interval of")
    return sign_interval(xs, level) if len(xs) < BOOTSTRAP_FROM else bootstrap_interval(xs, level)


def sign_interval(xs: Sequence[float], level: float) -> Interval:
    """Exact interval of the median between order statistics, for any distribution.

    [x_(k), x_(n+1-k)] covers with probability 1 - 2 P(Bin(n, 1/2) < k); k is the largest that keeps the level
    (Conover, Practical Nonparametric Statistics, sign test). No such k (n < 6 at 95 %): infinite bounds.
    """
    ordered = np.sort(np.asarray(xs, dtype=float))
    n = len(ordered)
    k = 0
    while 2 * _binomial_cdf(n, 0.5, k) <= 1 - level:
        k += 1
    low, high = (ordered[k - 1], ordered[n - k]) if k else (-math.inf, math.inf)
    return Interval(float(np.median(ordered)), float(low), float(high), level, "exact sign interval of the median")


def bootstrap_interval(xs: Sequence[float], level: float) -> Interval:
    """Percentile bootstrap interval of the median, over all n^n resamples at once (so it has no seed and no sampling error)."""
    values, weights = _bootstrap_medians(xs)
    reached = np.cumsum(weights)
    tail = (1 - level) / 2
    low = values[np.searchsorted(reached, tail, side="right")]
    high = values[np.searchsorted(reached, 1 - tail)]
    return Interval(float(np.median(xs)), float(low), float(high), level, "percentile bootstrap of the median")


def p_not_below(xs: Sequence[float], bound: float) -> float:
    """Two-sided p-value against "the median is not below `bound`": small when the data say that it is below.

    From the same distribution as the interval, and never smaller than what a sign test on n values could say, 2^(1-n).
    """
    n = len(xs)
    if n < BOOTSTRAP_FROM:
        at_or_above = int(np.sum(np.asarray(xs) >= bound))
        return min(1.0, 2 * _binomial_cdf(n, 0.5, at_or_above))
    values, weights = _bootstrap_medians(xs)
    return min(1.0, max(2 * float(np.sum(weights[values >= bound])), 2.0 ** (1 - n)))


def holm(p_values: Mapping[str, float], alpha: float) -> set[str]:
    """The names whose hypothesis is rejected at family-wise error `alpha` (Holm 1979, step-down Bonferroni)."""
    rejected: set[str] = set()
    for position, name in enumerate(sorted(p_values, key=lambda key: (p_values[key], key))):
        if p_values[name] > alpha / (len(p_values) - position):
            break
        rejected.add(name)
    return rejected


def shift_interval(base: Sequence[float], head: Sequence[float], level: float) -> Interval:
    """Hodges-Lehmann estimate of the shift head - base of two independent samples, with its rank-sum interval.

    The interval lies between order statistics of all differences h - b, chosen from the null distribution of the Mann-Whitney U
    (Hollander & Wolfe, Nonparametric Statistical Methods, section 4.3). It is exact where both samples have the same shape.
    """
    differences = np.sort(np.subtract.outer(np.asarray(head, float), np.asarray(base, float)).ravel())
    k = _rank_sum_rank(len(base), len(head), level)
    low, high = (differences[k - 1], differences[-k]) if k else (-math.inf, math.inf)
    return Interval(float(np.median(differences)), float(low), float(high), level, "Hodges-Lehmann, rank-sum interval")


def _rank_sum_rank(n: int, m: int, level: float) -> int:
    """The largest k with 2 P(U < k) <= 1 - level; from the normal approximation where n m is large. 0: too few data."""
    if n * m > EXACT_RANK_SUM_TO:
        z = NormalDist().inv_cdf((1 + level) / 2)
        return math.floor(n * m / 2 - z * math.sqrt(n * m * (n + m + 1) / 12))
    return int(np.searchsorted(np.cumsum(_mann_whitney(n, m)), (1 - level) / 2, side="right"))


def _bootstrap_medians(xs: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Every value that the median of a resample can take, ascending, and its probability."""
    ordered = np.sort(np.asarray(xs, dtype=float))
    lower, upper, weights = _median_table(len(ordered))
    values = (ordered[lower] + ordered[upper]) / 2
    order = np.argsort(values, kind="stable")
    return values[order], weights[order]


@cache
def _median_table(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ranks i <= j of the two middle order statistics of a resample of n out of n, and the probability of each pair.

    Middle ranks of the resample: m and m' = n + 1 - m with m = (n + 1) // 2. For odd n both are one, so i = j. For even n and i < j:
    exactly m draws fall on 1..i, one at least on i, and the others on j..n, one at least on j.
    """
    m = (n + 1) // 2
    at_most = [1 - _binomial_cdf(n, i / n, m - 1) for i in range(n + 1)]  # P(x*_(m) <= x_(i))
    marginal = np.diff(at_most)
    if n % 2:
        ranks = np.arange(n)
        return ranks, ranks, marginal
    joint = np.zeros((n, n))
    for i in range(1, n + 1):
        below = (i / n) ** m - ((i - 1) / n) ** m
        for j in range(i + 1, n + 1):
            joint[i - 1, j - 1] = math.comb(n, m) * below * (((n - j + 1) / n) ** m - ((n - j) / n) ** m)
    joint[np.diag_indices(n)] = np.maximum(marginal - joint.sum(axis=1), 0.0)
    lower, upper = np.triu_indices(n)
    return lower, upper, joint[lower, upper]


@cache
def _mann_whitney(n: int, m: int) -> np.ndarray:
    """P(U = u) for u = 0 .. n m, by counting orderings: c(i, j) is c(i-1, j) shifted by j, plus c(i, j-1)."""
    above = [np.ones(1) for _ in range(m + 1)]
    for i in range(1, n + 1):
        row = [np.ones(1)]
        for j in range(1, m + 1):
            counts = np.zeros(i * j + 1)
            counts[j:] += above[j]
            counts[: i * (j - 1) + 1] += row[j - 1]
            row.append(counts)
        above = row
    return above[m] / math.comb(n + m, n)


def _binomial_cdf(n: int, p: float, k: int) -> float:
    """P(Bin(n, p) <= k)."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(min(k, n) + 1))
