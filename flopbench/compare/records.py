"""`flopbench compare`: records that exist already, one a side or folders of them.

A folder whose runs alternate with the other's in time is taken in pairs: of repeats, where the very repeats alternate. Otherwise the two
sides are two independent samples: of runs, or, where a side has one run only, of that run's timed repeats. The ceiling in each record,
measured in the same minutes, is the control.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from flopbench.compare.comparable import differences, key, metric_name
from flopbench.compare.estimate import Interval, log_ratio_of_neighbours, median_interval, shift_interval
from flopbench.compare.verdict import MetricVerdict, check_threshold, judge
from flopbench.errors import BadInput
from flopbench.results import Record, read, record_files

LEVEL = 0.95
#: Controls (ceilings) that differ by more than this mean that the machine was not the same for both; the gate's rule too.
CONTROL_DRIFT = 0.05
#: More than this share put aside, and what is left says nothing.
MAX_DROPPED = 1 / 3


def load(path: Path) -> list[Record]:
    """The record at `path`, or every record (*.json) in the folder and below, in order of time. Raises BadInput."""
    if not path.is_dir():
        return [read(path)]
    found = [read(file) for file in record_files(path, below=True)]
    if not found:
        raise BadInput(f"{path}: no records (*.json) in this folder; nothing was measured, or the path is wrong")
    return sorted(found, key=lambda record: record.time_start_utc)


def compare(
    base: Sequence[Record], head: Sequence[Record], threshold: float, allowed: Collection[str] = ()
) -> list[MetricVerdict]:
    """A verdict for every metric. Raises BadInput, naming the difference, if any record lacks a comparable one."""
    check_threshold(threshold)
    sides = _by_metric(base, allowed), _by_metric(head, allowed)
    _refuse_the_incomparable(*sides, allowed)
    return [_compare_metric(sides[0][metric], sides[1][metric], threshold) for metric in sides[0]]


def _by_metric(records: Sequence[Record], allowed: Collection[str]) -> dict[tuple[Any, ...], list[Record]]:
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record, allowed)].append(record)
    return dict(groups)


def _refuse_the_incomparable(base: dict, head: dict, allowed: Collection[str]) -> None:
    """Raises BadInput for the first metric that one side lacks, with the differences to the nearest on the other side."""
    for side, others, missing in (("base", head, base.keys() - head.keys()), ("head", base, head.keys() - base.keys())):
        if not missing:
            continue
        lonely = {**base, **head}[min(missing, key=str)][0]

        def gap(group: list[Record], lonely: Record = lonely, side: str = side) -> list[str]:
            pair = (lonely, group[0]) if side == "base" else (group[0], lonely)
            return differences(*pair, allowed)

        nearest = min((gap(group) for group in others.values()), key=len)
        raise BadInput(
            f"not comparable: {metric_name(lonely)} of {side} has no counterpart; {'; '.join(nearest)}; "
            "measure both sides alike, or let a property differ with --allow NAME"
        )


def _compare_metric(base: list[Record], head: list[Record], threshold: float) -> MetricVerdict:
    name, unit = metric_name(head[0]), head[0].unit
    failures = [
        f"{side} {record.run_id[:8]}: verification FAILED: {record.verification.reason}"
        for side, records in (("base", base), ("head", head))
        for record in records
        if record.verification.verdict == "FAILED"
    ]
    if failures:
        return MetricVerdict(
            name, unit, None, None, None, 0, [], "inconclusive", "wrong results have no rate", failures
        )
    for side, records in (("base", base), ("head", head)):
        for record in records:
            if record.rmax_flops is None:
                raise BadInput(
                    f"{side}: run {record.run_id[:8]} of {name} is {record.verification.verdict} "
                    f"({record.verification.reason}), so it has no rate; leave it out or run it again"
                )
    return _compare_rates(name, unit, base, head, threshold)


def _compare_rates(name: str, unit: str, base: list[Record], head: list[Record], threshold: float) -> MetricVerdict:
    paired = _alternate(base, head)
    interval, n, dropped, total = _paired(base, head) if paired else _unpaired(base, head)
    rates = median(r.rmax_flops for r in base), median(r.rmax_flops for r in head)
    if len(dropped) > MAX_DROPPED * total or interval is None:
        reason = f"{len(dropped)} of {total} put aside, since the control moved"
        return MetricVerdict(name, unit, *rates, interval, n, dropped, "contaminated", reason)
    word, reason = judge(interval, threshold)
    if not paired:
        reason += _caution(base, head)
    return MetricVerdict(name, unit, *rates, interval, n, dropped, word, reason)


def _alternate(base: list[Record], head: list[Record]) -> bool:
    """Whether the two sides were run side by side: the i-th runs of both lie next to each other in time, pair after pair."""
    if len(base) != len(head) or len(base) < 2:
        return False
    merged = sorted((r.time_start_utc, side) for side, runs in enumerate((base, head)) for r in runs)
    return all({merged[i][1], merged[i + 1][1]} == {0, 1} for i in range(0, len(merged), 2))


def _paired(base: list[Record], head: list[Record]) -> tuple[Interval | None, int, list[str], int]:
    ratios, dropped = [], []
    for number, (b, h) in enumerate(zip(_in_time(base), _in_time(head), strict=True), 1):
        moved = _control_moved([b, h])
        if moved:
            dropped.append(f"pair {number}: {moved}")
        else:
            ratios.append(_log_ratio(b, h))
    return (median_interval(ratios, LEVEL) if ratios else None), len(ratios), dropped, len(base)


def _log_ratio(base: Record, head: Record) -> float:
    if _took_turns(base, head):
        return log_ratio_of_neighbours(base.times_s, head.times_s)
    return math.log(head.rmax_flops / base.rmax_flops)


def _took_turns(base: Record, head: Record) -> bool:
    """Whether the repeats of the two runs alternated in time, as the gate lets them."""
    times = [record.run_times_utc for record in (base, head)]
    if len(times[0]) != len(times[1]) or len(times[0]) < 2:
        return False
    merged = sorted((*span, side) for side, spans in enumerate(times) for span in spans)
    apart = all(one[1] <= two[0] for one, two in pairwise(merged))
    return apart and all({merged[i][2], merged[i + 1][2]} == {0, 1} for i in range(0, len(merged), 2))


def _unpaired(base: list[Record], head: list[Record]) -> tuple[Interval | None, int, list[str], int]:
    if len(base) == 1 or len(head) == 1:
        moved = _control_moved([*base, *head])
        samples = [[math.log(r.flop_count / t) for r in side for t in r.times_s] for side in (base, head)]
        return shift_interval(*samples, LEVEL), min(map(len, samples)), [moved] if moved else [], 1
    ceilings = [r.ceiling.flops for r in (*base, *head) if r.ceiling]
    usual = median(ceilings) if ceilings else None
    samples, dropped = [], []
    for side, records in (("base", base), ("head", head)):
        rates = []
        for record in records:
            if usual and record.ceiling and _drift([record.ceiling.flops, usual]) > CONTROL_DRIFT:
                dropped.append(
                    f"{side} {record.run_id[:8]}: ceiling off the usual one by more than {CONTROL_DRIFT:.0%}"
                )
            else:
                rates.append(math.log(record.rmax_flops))
        samples.append(rates)
    interval = shift_interval(*samples, LEVEL) if all(samples) else None
    return interval, min(map(len, samples)), dropped, len(base) + len(head)


def _control_moved(records: list[Record]) -> str:
    ceilings = [record.ceiling.flops for record in records if record.ceiling]
    moved = _drift(ceilings) if len(ceilings) == len(records) else 0.0
    return f"the measured ceiling moved by {moved:.1%}" if moved > CONTROL_DRIFT else ""


def _drift(values: list[float]) -> float:
    return max(values) / min(values) - 1


def _in_time(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.time_start_utc)


def _caution(base: list[Record], head: list[Record]) -> str:
    if len(base) == 1 or len(head) == 1:
        return "; one process a side, so what differs between two starts of the same program is not in the interval"
    return "; not run in pairs, so slow changes of the machine are not in the interval"
