"""How pairs become verdicts: two fixed looks, Holm over the metrics, and a second batch before anybody is told "slower". Pure.

Every look spends half of the error of 5 %, so its intervals have a level of 97.5 %. A metric that is decided at the first look is not
measured further. "slower" needs two independent batches that both say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from flopbench.compare.estimate import Interval, holm, median_interval, p_not_below
from flopbench.compare.verdict import MetricVerdict, judge
from flopbench.errors import EXIT_INCONCLUSIVE
from flopbench.gate.pairs import BASE, HEAD, Limits, Pair

#: (metrics still wanted, number of pairs) -> pairs measured; fewer when the time budget ends.
Measure = Callable[[Sequence[str], int], list[Pair]]


@dataclass(frozen=True)
class Rules:
    """threshold: the slow-down that counts, as a fraction. looks: pairs at which verdicts are taken. level: of each look's interval."""

    threshold: float = 0.10
    looks: tuple[int, ...] = (10, 20)
    level: float = 0.975
    max_dropped: float = 1 / 3
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class _Batch:
    """What one batch of pairs says of one metric."""

    verdict: MetricVerdict
    p: float


def decide(units: Mapping[str, str], measure: Measure, rules: Rules) -> list[MetricVerdict]:
    """The verdict on every metric of `units` (metric -> unit of its rate), measuring as much as the rules ask for."""
    verdicts = _batch(units, measure, rules)
    suspects = {name: units[name] for name, v in verdicts.items() if v.word == "slower" and not v.failures}
    if suspects:
        again = _batch(suspects, measure, rules)
        verdicts |= {name: _confirmed(verdicts[name], again[name]) for name in suspects}
    return list(verdicts.values())


def _batch(units: Mapping[str, str], measure: Measure, rules: Rules) -> dict[str, MetricVerdict]:
    """One independent batch: look, and look again at what is still open."""
    pairs: dict[str, list[Pair]] = {name: [] for name in units}
    found: dict[str, _Batch] = {}
    still_open, measured = list(units), 0
    for look in rules.looks:
        new = measure(still_open, look - measured)
        for name in still_open:
            pairs[name] += new
            found[name] = _look(name, units[name], pairs[name], rules)
        sure = holm({name: batch.p for name, batch in found.items()}, 1 - rules.level)
        verdicts = {name: _unless_by_chance(found[name], name in sure) for name in units}
        still_open = [n for n, v in verdicts.items() if v.exit_code == EXIT_INCONCLUSIVE]
        if len(new) < look - measured:
            return verdicts | {name: _ended_early(verdicts[name], len(pairs[name]), look) for name in still_open}
        if not still_open:
            break
        measured = look
    return verdicts


def _look(name: str, unit: str, pairs: list[Pair], rules: Rules) -> _Batch:
    failures = [text for pair in pairs for text in pair.failures(name)]
    if failures:
        reason = "wrong results have no rate"
        return _Batch(MetricVerdict(name, unit, None, None, None, 0, [], "inconclusive", reason, failures), 1.0)
    if not pairs:
        reason = "no pair was measured"
        return _Batch(MetricVerdict(name, unit, None, None, None, 0, [], "inconclusive", reason), 1.0)
    reasons = [pair.why_drop(rules.limits) for pair in pairs]
    clean = [pair for pair, reason in zip(pairs, reasons, strict=True) if not reason]
    dropped = [f"pair {number}: {reason}" for number, reason in enumerate(reasons, 1) if reason]
    rates = {side: [pair.side(side).rates[name] for pair in clean] for side in (BASE, HEAD)}
    xs = [pair.log_ratio(name) for pair in clean]
    if not xs or len(dropped) > rules.max_dropped * len(pairs):
        interval = median_interval(xs, rules.level) if xs else None
        word, reason, p = "contaminated", f"{len(dropped)} of {len(pairs)} pairs disturbed from outside", 1.0
    else:
        interval = median_interval(xs, rules.level)
        word, reason = judge(interval, rules.threshold)
        p = p_not_below(xs, math.log1p(-rules.threshold))
    medians = [median(rates[side]) if xs else None for side in (BASE, HEAD)]
    return _Batch(MetricVerdict(name, unit, *medians, interval, len(xs), dropped, word, reason), p)


def _ended_early(verdict: MetricVerdict, measured: int, wanted: int) -> MetricVerdict:
    return replace(verdict, reason=f"{verdict.reason}; ended early, after {measured} of {wanted} pairs")


def _unless_by_chance(batch: _Batch, sure: bool) -> MetricVerdict:
    if batch.verdict.word != "slower" or sure:
        return batch.verdict
    return replace(batch.verdict, word="inconclusive", reason="slower, but not beyond chance among so many metrics")


def _confirmed(first: MetricVerdict, second: MetricVerdict) -> MetricVerdict:
    confirmation: Interval | None = second.interval
    if second.failures:
        return replace(first, word="inconclusive", reason=second.reason, failures=second.failures)
    if second.word == "slower":
        return replace(first, confirmation=confirmation, reason=f"{first.reason}; a second batch says so too")
    word = "contaminated" if second.word == "contaminated" else "inconclusive"
    return replace(
        first,
        word=word,
        confirmation=confirmation,
        dropped=first.dropped + [f"second batch, {text}" for text in second.dropped],
        reason=f"slower in a first batch, but {second.word} in a second: {second.reason}",
    )
