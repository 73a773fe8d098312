"""External meters over the timed repeats of a run: many files and meters, one clock, one sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from itertools import pairwise
from pathlib import Path

import numpy as np

from flopbench.energy import csv_file, series
from flopbench.energy.series import LONGEST_GAP_S, Mean, Series, utc
from flopbench.errors import BadInput

LEAST_COVERED = 0.5  # of the timed region, between first and last reading in it; less says too little about the rest
SUSPICIOUS_GAIN = 1.03  # a window as long as the run draws this much more elsewhere: the clocks may differ
SUSPICIOUS_SHIFT_S = 10.0
_STEPS = 400  # shifts that are tried


@dataclass(frozen=True)
class Reading:
    """How to read the meters' files: unit of columns without one, zone of times without one, decimal sign, counter's range, clock error.

    `clock_offset_s`: by how much the meters' clock is ahead of the run's.
    """

    unit: str | None = None
    zone: tzinfo | None = None
    decimal: str | None = None
    counter_max: float | None = None
    clock_offset_s: float = 0.0


@dataclass
class Meters:
    """All meters of all files. `offset`: the one UTC offset in which every file writes its times, if there is one."""

    series: list[Series]
    hashes: dict[str, str]
    notes: list[str]
    offset: timedelta | None


@dataclass(frozen=True)
class Power:
    """Of one interval: the sum of the meters' means in W, and each one's."""

    watts: float
    means: list[Mean]


def load(paths: Sequence[Path], how: Reading) -> Meters:
    """Every meter in these files, in order. Raises BadInput: a file that cannot be read, one given twice, two kinds of the same meter."""
    found: dict[str, list[Series]] = {}
    hashes: dict[str, str] = {}
    notes: list[str] = []
    offsets: set[timedelta | None] = set()
    for path in paths:
        file = csv_file.read(path, how.unit, how.zone, how.decimal)
        if file.sha256 in hashes.values():
            raise BadInput(f"{path} has the same content as a file before it; its meters would count twice")
        hashes[file.path] = file.sha256
        offsets |= file.offsets or {None}
        told: dict[str, list[str]] = {}
        for column in file.columns:
            one, more = series.ordered(column, file.path, csv_file.UNITS[column.unit][1], how.counter_max)
            found.setdefault(one.name, []).append(one.shifted(-how.clock_offset_s))
            for note in more:
                told.setdefault(note, []).append(one.name)
        notes += [f"{path.name}: {note}" for note in file.notes]
        notes += [f"{path.name}: {_names(names)}: {note}" for note, names in told.items()]
    merged, more = _merged(found)
    offset = next(iter(offsets)) if len(offsets) == 1 else None
    return Meters(merged, hashes, notes + more, offset)


def power(meters: Meters, start: float, end: float) -> Power:
    """Mean power from `start` to `end` (Unix times), each meter by itself, summed. Raises BadInput where a meter has no readings there."""
    means = [series.mean_power(one, start, end) for one in meters.series]
    for one, mean in zip(meters.series, means, strict=True):
        if mean.last - mean.first < LEAST_COVERED * (end - start):
            raise BadInput(
                f"{one.file}: meter {one.name} covers {(mean.last - mean.first) / (end - start):.0%} of {utc(start)} to {utc(end)}; "
                f"needed: {LEAST_COVERED:.0%}; is the file whole, and its time zone right?"
            )
    return Power(sum(mean.watts for mean in means), means)


def gap_notes(meters: Meters, powers: Sequence[Power]) -> list[str]:
    """Gaps over 10 s inside the intervals, and meters that stood still while others did not."""
    longest = {one.name: max(p.means[i].longest_gap_s for p in powers) for i, one in enumerate(meters.series)}
    wide = {name: gap for name, gap in longest.items() if gap > LONGEST_GAP_S}
    notes = []
    if wide:
        notes.append(
            f"gaps over {LONGEST_GAP_S:.0f} s between readings in the timed region at {len(wide)} of {len(longest)} meters, the longest "
            f"{max(wide.values()):.4g} s at {max(wide, key=lambda name: wide[name])}; interpolated"
        )
    still = [one.name for i, one in enumerate(meters.series) if all(p.means[i].watts == 0.0 for p in powers)]
    if still:
        notes.append(f"no energy at {_names(still)} in the timed region: nothing connected, or a dead meter")
    return notes


def suspicion(meters: Meters, start: float, end: float) -> str | None:
    """A sign that the meters' clock is not the run's: a window as long as the run, but shifted, draws clearly more power.

    Shifts of up to half the run are tried and, where the meters show idle at the run's time, whole quarters of an hour up to 14 h (zones).
    A run draws more than what goes before and after it, so the true shift is the one with the most power.
    """
    first = max(float(one.times[0]) for one in meters.series)
    last = min(float(one.times[-1]) for one in meters.series)
    length = end - start
    curves = [(one.times, series.cumulative(one)) for one in meters.series]

    def mean(shift: np.ndarray) -> np.ndarray:
        low, high = start + shift, end + shift
        return sum((np.interp(high, t, e) - np.interp(low, t, e)) / length for t, e in curves)

    here = float(mean(np.array([0.0]))[0])
    near = np.linspace(-length / 2, length / 2, 2 * _STEPS + 1)
    zones = np.arange(-14 * 4, 14 * 4 + 1) * 900.0
    for shifts, gain in ((near, SUSPICIOUS_GAIN), (zones, 1.5)):
        possible = shifts[(start + shifts >= first) & (end + shifts <= last) & (np.abs(shifts) > SUSPICIOUS_SHIFT_S)]
        if not len(possible):
            continue
        drawn = mean(possible)
        best = int(drawn.argmax())
        if drawn[best] > gain * here:
            when = "later" if possible[best] > 0 else "earlier"
            return (
                f"the meters' clock may not be the run's: {drawn[best] / here - 1:.0%} more power {abs(possible[best]):.0f} s {when} "
                f"over the same length; if so, --clock-offset {possible[best]:.0f}"
            )
    return None


def _merged(found: dict[str, list[Series]]) -> tuple[list[Series], list[str]]:
    """Meters of one name in several files: parts of one, if they follow each other; else different meters, named after their files."""
    meters: list[Series] = []
    notes: list[str] = []
    for name, parts in found.items():
        parts = sorted(parts, key=lambda part: float(part.times[0]))
        follow = all(a.times[-1] < b.times[0] for a, b in pairwise(parts))
        same = len({part.kind for part in parts}) == 1
        rises = all(a.kind == "power" or a.values[-1] <= b.values[0] for a, b in pairwise(parts))
        if len(parts) == 1:
            meters += parts
        elif follow and same and rises:
            times, values = (np.concatenate([getattr(part, what) for part in parts]) for what in ("times", "values"))
            meters.append(Series(name, parts[0].kind, parts[0].unit, parts[0].file, times, values))
            notes.append(f"meter {name}: its {len(parts)} files follow each other and were put together")
        else:
            meters += [Series(f"{Path(p.file).name}: {name}", p.kind, p.unit, p.file, p.times, p.values) for p in parts]
            notes.append(
                f"meter {name} is in {len(parts)} files over the same time; taken as different meters and summed"
            )
    return meters, notes


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} meters ({', '.join(names[:2])} ...)"
