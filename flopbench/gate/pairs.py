"""A pair of legs, one a side; the order of many; and what disqualifies one. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

BASE, HEAD = "base", "head"


@dataclass(frozen=True)
class Limits:
    """What a pair may have seen of the rest of the world, as fractions.

    drift     between the fastest and the slowest of its control measurements
    steal     of the CPUs' time, taken by the hypervisor, during either leg
    neighbour of the CPUs' time, taken by other processes: how much more during one leg than during the other
    """

    drift: float = 0.05
    steal: float = 0.02
    neighbour: float = 0.15


@dataclass(frozen=True)
class Leg:
    """One fresh process of one side: its rates by metric, and the share of CPU time that others had meanwhile."""

    side: str
    rates: Mapping[str, float]
    steal: float = 0.0
    neighbour: float = 0.0
    failures: Mapping[str, str] = field(default_factory=dict)  # metric -> why its verification FAILED


@dataclass(frozen=True)
class Pair:
    """Two legs in the order they ran, and the control's rate before, between and after them."""

    legs: tuple[Leg, Leg]
    controls: tuple[float, float, float]

    def side(self, name: str) -> Leg:
        return self.legs[0] if self.legs[0].side == name else self.legs[1]

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
