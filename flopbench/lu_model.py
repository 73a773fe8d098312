"""Time of the block-cyclic LU by phase: HPL's scalability model, its constants taken from a short run and the measured network.

Source: netlib.org/benchmark/hpl/scalability.html. For the step at block column k, with M = N - k NB rows and columns left:

    panel      (M/P - NB/3) NB^2 g2 + NB log2(P) (a + 2 b NB), on one of Q process columns
    broadcast  a + b M NB / P
    swap       a (log2 P + P - 1) + 3 b M NB / Q
    update     g3 (M NB^2 / Q + 2 M^2 NB / (P Q))
    solve      once: g2' N^2 / (P Q) + N (a / NB + 2 b)

The page has one g3 for panel and update; here the panel has its own, since it runs at a fraction of the update's rate. Look-ahead
lets the Q process columns take turns at the panel, so that each pays for 1/Q of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flopbench.plan import largest_within

PHASES = ("panel", "broadcast", "swap", "update", "solve")


@dataclass(frozen=True)
class Shape:
    """A problem on a grid."""

    n: int
    nb: int
    p: int
    q: int


@dataclass(frozen=True)
class Network:
    """Seconds of the shortest message, and per double of a long one."""

    latency_s: float
    seconds_per_double: float


def work(shape: Shape) -> dict[str, float]:
    """What each phase costs a rank: FLOP of panel, update and solve; doubles of broadcast and swap (none along a side of one rank)."""
    p, q = shape.p, shape.q
    left = np.arange(shape.n, 0, -shape.nb, dtype=float)  # rows at each block column
    width = np.minimum(left, shape.nb)
    return {
        "panel": float((np.maximum(0.0, left / p - width / 3.0) * width**2).sum()) / q,
        "broadcast": float((left * width).sum()) / p if q > 1 else 0.0,
        "swap": 3.0 * float((left * width).sum()) / q if p > 1 else 0.0,
        "update": float((left * width**2 / q + 2.0 * left**2 * width / (p * q)).sum()),
        "solve": float(shape.n) ** 2 / (p * q),
    }


def waiting(shape: Shape, network: Network) -> dict[str, float]:
    """Seconds of each phase that no rate can shorten: the network's latency, and the small messages of panel and solve."""
    n, p, q = shape.n, shape.p, shape.q
    steps = -(-n // shape.nb)
    a, b = network.latency_s, network.seconds_per_double
    return {
        "panel": n * math.log2(p) * (a + 2.0 * b * shape.nb) / q,
        "broadcast": steps * a if q > 1 else 0.0,
        "swap": steps * a * (math.log2(p) + p - 1),
        "update": 0.0,
        "solve": n * (a / shape.nb + 2.0 * b) if p * q > 1 else 0.0,
    }


@dataclass(frozen=True)
class Measured:
    """One run: seconds of each phase, mean over the ranks, and of the whole."""

    shape: Shape
    phases: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class LuModel:
    """The model with its constants. Per phase: seconds per unit of `work`, and what `waiting` is to be multiplied by.

    `overhead` is the share of time beyond the phases: waiting for panels of others.
    """

    per_unit: Mapping[str, float]
    stretch: Mapping[str, float]
    overhead: float
    network: Network

    @classmethod
    def fit(cls, small: Measured, large: Measured, network: Network) -> LuModel:
        """From two runs on one grid, which may be the same one; a phase that they had no work for gets the network's constants."""
        per_unit, stretch = {}, {}
        for name in PHASES:
            (w1, l1, t1), (w2, l2, t2) = (
                (work(run.shape)[name], waiting(run.shape, network)[name], run.phases.get(name, 0.0))
                for run in (small, large)
            )
            per_unit[name], stretch[name] = _two_terms((w1, l1, t1), (w2, l2, t2)) or (network.seconds_per_double, 1.0)
        accounted = sum(large.phases.get(name, 0.0) for name in PHASES)
        return cls(per_unit, stretch, max(0.0, large.seconds / accounted - 1.0) if accounted else 0.0, network)

    def phases(self, shape: Shape) -> dict[str, float]:
        """Predicted seconds of each phase on a rank, mean over the ranks."""
        units, latency = work(shape), waiting(shape, self.network)
        return {name: self.stretch[name] * latency[name] + self.per_unit[name] * units[name] for name in PHASES}

    def seconds(self, shape: Shape) -> float:
        """Predicted seconds of factor and solve."""
        return (1.0 + self.overhead) * sum(self.phases(shape).values())


def _two_terms(small: tuple[float, float, float], large: tuple[float, float, float]) -> tuple[float, float] | None:
    """(c, k), none below zero, with t = c w + k l through both (w, l, t); through the larger where that is not possible. None if w is 0."""
    (w1, l1, t1), (w2, l2, t2) = small, large
    if w2 == 0.0:
        return None
    determinant = w1 * l2 - w2 * l1
    if abs(determinant) <= 1e-9 * w2 * max(l1, l2):  # no latency, or one run only
        return t2 / w2, 0.0
    c, k = (t1 * l2 - t2 * l1) / determinant, (w1 * t2 - w2 * t1) / determinant
    if k < 0.0:
        return t2 / w2, 0.0
    return (c, k) if c >= 0.0 else (0.0, t2 / l2)


@dataclass(frozen=True)
class OnGrid:
    """The model for one NB and grid, as a function of N alone: what a plan asks."""

    model: LuModel
    nb: int
    p: int
    q: int

    def seconds(self, n: int) -> float:
        """Predicted time of factor and solve at N = n."""
        return self.model.seconds(Shape(n, self.nb, self.p, self.q))

    def largest_n(self, seconds: float) -> int:
        """The largest N that is predicted to take at most `seconds`; at least 1."""
        return largest_within(self.seconds, seconds)
