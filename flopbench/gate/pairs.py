"""A pair of legs, one a side; the order of many; and what disqualifies one. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from flopbench.compare.estimate import log_ratio_of_neighbours

BASE, HEAD = "base", "head"


@dataclass(frozen=True)
class Limits:
    """What a pair may have seen of the rest of the world, as fractions.

    drift     between the fastest and the slowest of its control measurements
    steal     of the CPUs' time, taken by the hypervisor, during either leg
    neighbour of the CPUs' time, taken by other processes: how much more during one leg than during the other
    """

    drift: float = 0.05
    steal: float = 0.05
    neighbour: float = 0.15


@dataclass(frozen=True)
class Leg:
    """One fresh process of one side: its rates by metric, and the share of CPU time that others had meanwhile."""

    side: str
    rates: Mapping[str, float]
    steal: float = 0.0
    neighbour: float = 0.0
    failures: Mapping[str, str] = field(default_factory=dict)  # metric -> why its verification FAILED
    in_turns: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # metric -> seconds of repeats in turns


@dataclass(frozen=True)
class Pair:
    """Two legs in the order they began, and the control's rate before, when both were ready to repeat, and after."""

    legs: tuple[Leg, Leg]
    controls: tuple[float, ...]

    def side(self, name: str) -> Leg:
        return self.legs[0] if self.legs[0].side == name else self.legs[1]

    def took_turns(self, metric: str) -> bool:
        """Whether the repeats of `metric` alternated with those of the other side."""
        return all(metric in leg.in_turns for leg in self.legs)

    def log_ratio(self, metric: str) -> float:
        """ln(head rate / base rate): the median over the repeats that are neighbours in time; of the best ones without turns."""
        base, head = self.side(BASE), self.side(HEAD)
        if self.took_turns(metric):
            return log_ratio_of_neighbours(base.in_turns[metric], head.in_turns[metric])
        return math.log(head.rates[metric] / base.rates[metric])

    def failures(self, metric: str) -> list[str]:
        """The verifications of `metric` that FAILED in this pair, in words."""
        return [
            f"{leg.side}: verification FAILED: {leg.failures[metric]}" for leg in self.legs if metric in leg.failures
        ]

    def why_drop(self, limits: Limits) -> str:
        """Why this pair says nothing about the code, or "". Rates of the code under test play no part in it."""
        drift = max(self.controls) / min(self.controls) - 1
        if drift > limits.drift:
            return f"control moved by {drift:.1%}"
        steal = max(leg.steal for leg in self.legs)
        if steal > limits.steal:
            return f"{steal:.1%} of CPU time stolen by the hypervisor"
        uneven = abs(self.legs[0].neighbour - self.legs[1].neighbour)
        if uneven > limits.neighbour:
            return f"other processes had {uneven:.1%} more of the CPUs in one leg than in the other"
        return ""


def balanced_order(pairs: int, rng: random.Random) -> list[str]:
    """Which side goes first in each pair: half and half (one more of either for an odd number), shuffled."""
    order = [BASE, HEAD] * (pairs // 2) + ([rng.choice([BASE, HEAD])] if pairs % 2 else [])
    rng.shuffle(order)
    return order
