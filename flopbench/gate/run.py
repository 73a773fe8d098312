"""`flopbench gate`, the whole story: a warm-up of both sides, then pairs and controls for as long as the protocol asks."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from flopbench.compare.comparable import differences, machine_key
from flopbench.compare.verdict import MetricVerdict
from flopbench.errors import BadInput
from flopbench.gate.config import GateConfig, Metric, Side
from flopbench.gate.legs import LegRun, run_legs
from flopbench.gate.pairs import BASE, HEAD, Pair, balanced_order
from flopbench.gate.protocol import decide
from flopbench.results import Record, write
from flopbench.timing import Clock, clock

#: How often a control that fell is measured before the fall is believed.
CONTROL_TRIES = 3


class RateSource(Protocol):
    """A control."""

    def rate(self, threads: int) -> float: ...


#: (sides in their order, metrics, what to call when both are ready to repeat) -> their legs
RunLegs = Callable[[Sequence[tuple[str, Side]], Sequence[Metric], Callable[[], None]], list[LegRun]]


@dataclass
class Report:
    """What a gate found, and how it went."""

    verdicts: list[MetricVerdict]
    seed: int
    pairs: int
    seconds: float
    out_of_time: bool
    differences: list[str]
    machine: Record  # a record of it, for the key of the machine


@dataclass
class Gate:
    """The runner: measures pairs on request of the protocol, within the budget.

    `allowed` are the properties in which base and head may differ; `output` is where records go, one folder a side.
    """

    config: GateConfig
    control: RateSource
    allowed: frozenset[str] = frozenset()
    output: Path | None = None
    say: Callable[[str], None] = lambda line: None
    run_legs: RunLegs = run_legs
    now: Clock = clock
    seed: int = field(default_factory=lambda: int.from_bytes(os.urandom(4)))

    def run(self, before_pairs: Callable[[str], None] = lambda machine: None) -> Report:
        """Measure and decide. `before_pairs` is told the machine's key after the warm-up and may refuse.

        Raises BadInput on an empty or failing leg, and where base and head cannot be compared.
        """
        rules = self.config.rules()
        self._rng = random.Random(self.seed)
        self._sides = {BASE: self.config.base, HEAD: self.config.head}
        self._metrics = {metric.name: metric for metric in self.config.metric}
        self._start, self._pairs, self._longest, self._out_of_time = self.now(), 0, 0.0, False
        self._differences: list[str] = []
        units, record = self._warm_up()
        before_pairs(machine_key(record))
        verdicts = decide(units, self._measure, rules)
        seconds = self.now() - self._start
        return Report(verdicts, self.seed, self._pairs, seconds, self._out_of_time, self._differences, record)

    def _warm_up(self) -> tuple[dict[str, str], Record]:
        """One leg of each side that does not count: compilers fill their caches, and what cannot be compared is found early."""
        self.say(f"order of the sides from seed {self.seed}; warm-up: one leg of each side, not counted")
        legs = self.run_legs(list(self._sides.items()), list(self._metrics.values()), lambda: None)
        runs = {run.leg.side: run for run in legs}
        for name in self._metrics:
            base, head = (runs[side].records[name] for side in (BASE, HEAD))
            found = differences(base, head, self.allowed)
            if found:
                raise BadInput(
                    f"metric {name}: base and head are not comparable: {'; '.join(found)}; "
                    "make them alike, or let a property differ with --allow NAME"
                )
            self._differences += [f"{name}: {text}" for text in differences(base, head)]
            if not Pair((legs[0].leg, legs[1].leg), ()).took_turns(name):
                self.say(
                    f"{name}: one side is a flopbench from before turns, so whole legs follow one another: expect more noise"
                )
        records = runs[HEAD].records
        self._threads = max(record.ranks * record.threads_per_rank for record in records.values())
        return {name: records[name].unit for name in self._metrics}, next(iter(records.values()))

    def _measure(self, names: Sequence[str], count: int) -> list[Pair]:
        """Up to `count` pairs of the metrics `names`; fewer when the next one would overrun the budget, or a result is wrong."""
        metrics = [self._metrics[name] for name in names]
        pairs: list[Pair] = []
        before = self._control()
        for first in balanced_order(count, self._rng):
            began = self.now()
            if began - self._start + self._longest > self.config.budget_s:
                self._out_of_time = True
                self.say(f"the time budget of {self.config.budget_s:g} s is used up")
                break
            pair = self._pair(first, metrics, before)
            pairs.append(pair)
            before = pair.controls[-1]
            self._pairs += 1
            self._longest = max(self._longest, self.now() - began)
            self.say(self._line(pair, names))
            if any(leg.failures for leg in pair.legs):
                break
        return pairs

    def _pair(self, first: str, metrics: list[Metric], before: float) -> Pair:
        order = [first, HEAD if first == BASE else BASE]
        controls = [before]

        def control() -> None:
            controls.append(self._control(controls[-1]))

        runs = self.run_legs([(name, self._sides[name]) for name in order], metrics, control)
        control()
        if self.output is not None:
            for run in runs:
                for record in run.records.values():
                    write(record, self.output / run.leg.side)
        return Pair((runs[0].leg, runs[1].leg), tuple(controls))

    def _control(self, previous: float = 0.0) -> float:
        """The control now, on as many threads as the metrics use: the best of up to three tries where it falls short of the previous one.

        As inside a leg, the best counts: a short interruption of the control itself does not mean that the machine has changed.
        """
        rate = self.control.rate(self._threads)
        for _ in range(CONTROL_TRIES - 1):
            if rate * (1 + self.config.limits.drift) >= previous:
                break
            rate = max(rate, self.control.rate(self._threads))
        return rate

    def _line(self, pair: Pair, names: Sequence[str]) -> str:
        base, head = pair.side(BASE), pair.side(HEAD)
        parts = [
            f"{name} {math.exp(pair.log_ratio(name)):.3f}"
            for name in names
            if name in base.rates and name in head.rates
        ]
        dropped = pair.why_drop(self.config.rules().limits)
        parts += [f"dropped: {dropped}"] if dropped else []
        return f"pair {self._pairs} ({pair.legs[0].side} first): {', '.join(parts) or 'no rates'}"
