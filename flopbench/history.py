"""Records over time: one series per machine and metric, and the steps in it. A history tells when; it never decides a gate.

Steps are found by the best piecewise-constant fit in the L1 norm to x = ln(rate) (Potts functional; asv's regression detection and
Storath, Weinmann & Demaret, IEEE Trans. Signal Process. 62(14), 2014, work so):

    minimise over all ways to cut    sum |x_i - median of its segment| / b  +  PENALTY ln(n) (segments - 1)

by dynamic programming over all cuts, with segments of at least MIN_SEGMENT runs, so that a few odd runs are no step. b is the scale
of the noise from run to run, from the median of |x_i - x_(i-1)|, which steps hardly touch. A step is reported if the medians on
its two sides differ by MIN_CHANGE or more.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from flopbench.compare.comparable import key, machine_key, metric_name
from flopbench.results import Record

PENALTY = 3.0
MIN_SEGMENT = 5
MIN_CHANGE = 0.05
#: Noise from run to run below this is not believed: a clock and a scheduler are never that even.
MIN_NOISE = 0.001
#: For the normal distribution the median of |x_i - x_(i-1)| is 0.9539 sigma, and the mean of |x - median| is 0.7979 sigma.
_LAPLACE_SCALE = 0.7979 / 0.9539


@dataclass(frozen=True)
class Step:
    """Between two runs of a series: the median rate before and after; `index` is the first run after."""

    index: int
    before: float
    after: float

    @property
    def change(self) -> float:
        """Relative: +0.10 is ten percent faster."""
        return self.after / self.before - 1


@dataclass(frozen=True)
class Series:
    """All PASSED runs of one metric on one kind of machine, in order of time."""

    machine: str
    metric: str
    unit: str
    runs: list[Record]
    steps: list[Step]


def histories(records: Iterable[Record]) -> list[Series]:
    """The series in `records`; a series has runs that could be compared (same machine, kernel, size, threads, BLAS)."""
    groups: dict[tuple, list[Record]] = defaultdict(list)
    for record in records:
        if record.rmax_flops is not None:
            groups[key(record)].append(record)
    found = []
    for group in groups.values():
        runs = sorted(group, key=lambda record: record.time_start_utc)
        rates = [record.rmax_flops for record in runs if record.rmax_flops is not None]
        found.append(Series(machine_key(runs[0]), metric_name(runs[0]), runs[0].unit, runs, find_steps(rates)))
    return sorted(found, key=lambda series: (series.machine, series.metric))


def find_steps(rates: Sequence[float]) -> list[Step]:
    """The steps in a series of rates, in order of time."""
    if len(rates) < 2 * MIN_SEGMENT:
        return []
    xs = [math.log(rate) for rate in rates]
    jumps = [abs(b - a) for a, b in itertools.pairwise(xs)]
    scale = max(MIN_NOISE, median(jumps) * _LAPLACE_SCALE)
    starts = [*_segment_starts(xs, scale, PENALTY * math.log(len(xs))), len(xs)]
    medians = [median(rates[a:b]) for a, b in itertools.pairwise(starts)]
    found = [Step(starts[i], medians[i - 1], medians[i]) for i in range(1, len(medians))]
    return [step for step in found if abs(step.change) >= MIN_CHANGE]


def _segment_starts(xs: list[float], scale: float, penalty: float) -> list[int]:
    """Where the segments of the best fit begin. best[j] is the least cost of xs[:j]; O(n^2 log n)."""
    n = len(xs)
    costs = [_costs_from(xs, i) for i in range(n)]
    best = [-penalty] + [math.inf] * n
    cut = [0] * (n + 1)
    for j in range(MIN_SEGMENT, n + 1):
        for i in range(j - MIN_SEGMENT + 1):
            cost = best[i] + costs[i][j - i - 1] / scale + penalty
            if cost < best[j]:
                best[j], cut[j] = cost, i
    starts, j = [], n
    while j:
        j = cut[j]
        starts.append(j)
    return starts[::-1]


def _costs_from(xs: list[float], start: int) -> list[float]:
    """Sum of |x - median| of xs[start:end] for end = start + 1 .. n: two heaps hold the halves and their sums."""
    low: list[float] = []  # negated: the lower half, its largest on top
    high: list[float] = []
    low_sum = high_sum = 0.0
    costs = []
    for x in xs[start:]:
        moved = heapq.heappushpop(high, x)
        high_sum += x - moved
        heapq.heappush(low, -moved)
        low_sum += moved
        if len(low) > len(high) + 1:
            moved = -heapq.heappop(low)
            low_sum -= moved
            heapq.heappush(high, moved)
            high_sum += moved
        centre = -low[0]
        costs.append(high_sum - low_sum + centre * (len(low) - len(high)))
    return costs
