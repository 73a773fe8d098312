"""Synthetic machines for the gate: noise that drifts, steps, has heavy tails and outliers, with a true ratio that is known."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from flopbench.gate.pairs import BASE, HEAD, Leg, Pair, balanced_order
from flopbench.gate.protocol import Measure


@dataclass(frozen=True)
class Machine:
    """How a machine is noisy. Relative sizes; probabilities are per leg.

    noise     scale of every leg's own noise        tails    degrees of freedom of its Student t; None: Gaussian
    drift     change of speed over 40 legs          steps    probability that the machine's speed changes by up to 30 %
    outliers  probability of a leg that loses up to half of its rate, unseen by the control
    slot      how much slower the second leg of a pair is
    """

    noise: float = 0.02
    tails: int | None = None
    drift: float = 0.0
    steps: float = 0.0
    outliers: float = 0.0
    slot: float = 0.0
    control_noise: float = 0.005


MACHINES = {
    "quiet": Machine(noise=0.01),
    "gaussian": Machine(noise=0.03),
    "drift": Machine(noise=0.02, drift=0.30),
    "steps": Machine(noise=0.02, steps=0.03),
    "heavy tails": Machine(noise=0.02, tails=2),
    "outliers": Machine(noise=0.02, outliers=0.10),
    "slot order": Machine(noise=0.02, slot=0.03),
    "all at once": Machine(noise=0.02, tails=3, drift=0.20, steps=0.02, outliers=0.05, slot=0.01),
}


def synthetic(machine: Machine, true_ratios: dict[str, float], seed: int) -> Measure:
    """A `measure` for the protocol: an endless series of pairs whose head is `true_ratios` times as fast as its base."""
    rng = random.Random(seed)
    level = 0.0

    def noise(scale: float) -> float:
        value = rng.gauss(0, scale)
        if machine.tails:
            value /= math.sqrt(rng.gammavariate(machine.tails / 2, 2) / machine.tails)
        return value

    def control() -> float:
        return math.exp(level + rng.gauss(0, machine.control_noise))

    def advance() -> None:
        nonlocal level
        level -= machine.drift / 40
        if rng.random() < machine.steps:
            level += rng.uniform(-0.3, 0.3)

    def leg(side: str, slot: int, metrics: Sequence[str]) -> Leg:
        start = level
        advance()
        common = (start + level) / 2 - slot * machine.slot
        rates = {}
        for name in metrics:
            x = common + noise(machine.noise) + (math.log(true_ratios[name]) if side == HEAD else 0.0)
            if rng.random() < machine.outliers:
                x += math.log(rng.uniform(0.5, 1.0))
            rates[name] = math.exp(x)
        return Leg(side, rates)

    def measure(metrics: Sequence[str], count: int) -> list[Pair]:
        pairs = []
        for first in balanced_order(count, rng):
            before = control()
            one = leg(first, 0, metrics)
            between = control()
            two = leg(HEAD if first == BASE else BASE, 1, metrics)
            pairs.append(Pair((one, two), (before, between, control())))
        return pairs

    return measure
