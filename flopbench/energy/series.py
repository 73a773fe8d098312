"""One meter's readings in order of time: put in order, repaired where that is certain, and its mean power over a part of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from flopbench.energy.csv_file import Column
from flopbench.errors import BadInput

LONGEST_GAP_S = 10.0  # a longer distance of two readings is said
HIGHEST_POWER_W = 1e9  # no meter sees a gigawatt: a reading that says so is broken
_NEAR_RANGE = 0.9  # a counter that falls from the last tenth of its range to the first has wrapped around
_RANGES = (2.0**16, 2.0**24, 2.0**31, 2.0**32, *(10.0**digits for digits in range(4, 13)))


@dataclass(frozen=True)
class Series:
    """Readings of one meter: Unix times ascending, and joules since some moment (`kind` "energy") or watts ("power")."""

    name: str
    kind: str
    unit: str
    file: str
    times: np.ndarray
    values: np.ndarray

    def shifted(self, seconds: float) -> Series:
        """The same readings, `seconds` later."""
        return replace(self, times=self.times + seconds)


@dataclass(frozen=True)
class Mean:
    """Mean power of one meter between its first and last reading inside an interval; times are Unix times in s."""

    watts: float
    first: float
    last: float
    readings: int
    longest_gap_s: float
    usual_gap_s: float


def ordered(column: Column, file: str, factor: float, counter_max: float | None = None) -> tuple[Series, list[str]]:
    """The readings in order, counters made ascending, and what was found and done.

    `factor`: joules or watts in one unit of the file; `counter_max`: the value in the file's unit at which its counter starts again.
    Raises BadInput: fewer than two readings, or a power that no meter can see.
    """
    times, values = np.asarray(column.times), np.asarray(column.values)
    notes = []
    back = int(np.count_nonzero(np.diff(times) < 0))
    if back:
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        notes.append(f"rows not in order of time ({back} steps back); sorted")
    times, values, twins = _without_twins(times, values, column.kind)
    notes += twins
    if column.kind == "energy":
        values, times, more = _ascending(values, times, None if counter_max is None else counter_max * factor, factor)
        notes += more
    if len(times) < 2:
        raise BadInput(f"{file}: meter {column.name} has {len(times)} reading; two at different times are needed")
    power = np.diff(values) / np.diff(times) if column.kind == "energy" else values
    if power.max() > HIGHEST_POWER_W:
        where = utc(float(times[int(power.argmax())]))
        raise BadInput(
            f"{file}: meter {column.name} says {power.max():.3g} W at {where}, which no meter sees; is the unit right (--unit)?"
        )
    if column.kind == "power":
        notes += _spikes(times, values)
    return Series(column.name, column.kind, column.unit, file, times, values), notes


def mean_power(series: Series, start: float, end: float) -> Mean:
    """Mean power by the Green500's method: from the first to the last reading wholly inside [start, end].

    Energy counters: (E_last - E_first) / (t_last - t_first). Power samples: the trapezoid rule over the same, which interpolates missing
    points linearly. Raises BadInput if fewer than two readings lie inside.
    """
    low, high = np.searchsorted(series.times, start, "left"), np.searchsorted(series.times, end, "right")
    times, values = series.times[low:high], series.values[low:high]
    if len(times) < 2:
        raise BadInput(
            f"{series.file}: meter {series.name} has {len(times)} readings from {utc(start)} to {utc(end)}, two are needed; "
            f"its readings go from {utc(float(series.times[0]))} to {utc(float(series.times[-1]))}: "
            "is it the right file, time zone (--timezone), clock (--clock-offset)?"
        )
    gaps = np.diff(times)
    joules = values[-1] - values[0] if series.kind == "energy" else np.sum((values[1:] + values[:-1]) / 2 * gaps)
    watts = float(joules) / float(times[-1] - times[0])
    return Mean(watts, float(times[0]), float(times[-1]), len(times), float(gaps.max()), float(np.median(gaps)))


def cumulative(series: Series) -> np.ndarray:
    """Joules from the first reading to each one."""
    if series.kind == "energy":
        return series.values - series.values[0]
    steps = (series.values[1:] + series.values[:-1]) / 2 * np.diff(series.times)
    return np.concatenate(([0.0], np.cumsum(steps)))


def utc(moment: float) -> str:
    """Unix time as ISO 8601 in UTC."""
    if not math.isfinite(moment):
        return str(moment)
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_twins(times: np.ndarray, values: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """One reading a moment: the mean of power samples, the highest of energy readings."""
    unique, first, counts = np.unique(times, return_index=True, return_counts=True)
    if len(unique) == len(times):
        return times, values, []
    highest = np.maximum.reduceat(values, first)
    merged = highest if kind == "energy" else np.add.reduceat(values, first) / counts
    differ = int(np.count_nonzero(highest != np.minimum.reduceat(values, first)))
    how = (
        f"; {differ} times with different values: {'the highest' if kind == 'energy' else 'their mean'} was taken"
        if differ
        else ""
    )
    return unique, merged, [f"{len(times) - len(unique)} repeated time stamps{how}"]


def _ascending(
    values: np.ndarray, times: np.ndarray, counter_max: float | None, factor: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The counter as if it had never started again: stray readings left out, ranges added, the step over a reset estimated."""
    notes: list[str] = []
    keep = _without_strays(values)
    if not keep.all():
        strays = ", ".join(utc(float(t)) for t in times[~keep][:3])
        notes.append(f"{int((~keep).sum())} readings off the counter's course were left out ({strays})")
        values, times = values[keep], times[keep]
    falls = np.flatnonzero(np.diff(values) < 0)
    if not len(falls):
        return values, times, notes
    steps, gaps = np.diff(values), np.diff(times)
    usual = steps[steps >= 0].sum() / gaps[steps >= 0].sum() if (steps >= 0).any() else 0.0
    for i in falls:
        before, after, where = float(values[i]), float(values[i + 1]), utc(float(times[i + 1]))
        size = _range_of(before, after, usual * float(gaps[i]), counter_max, factor)
        if size is not None:
            steps[i] = after + size - before
            notes.append(f"the counter wrapped around at {size / factor:.6g} before {where}; the range was added")
        else:
            steps[i] = usual * gaps[i]
            notes.append(
                f"the counter was reset before {where}; the {gaps[i]:.3g} s between the readings are "
                f"estimated with its mean of {usual:.4g} W"
            )
    return np.concatenate(([values[0]], values[0] + np.cumsum(steps))), times, notes


def _without_strays(values: np.ndarray) -> np.ndarray:
    """False for single readings that stand above what follows, or below what goes before, while their neighbours ascend."""
    keep = np.ones(len(values), dtype=bool)
    for i in np.flatnonzero(np.diff(values) < 0):
        if not (keep[i] and keep[i + 1]):
            continue
        if i >= 1 and values[i - 1] <= values[i + 1]:
            keep[i] = False
        elif i + 2 < len(values) and values[i] <= values[i + 2]:
            keep[i + 1] = False
    return keep


def _range_of(before: float, after: float, usual_step: float, counter_max: float | None, factor: float) -> float | None:
    """The range of a counter that wrapped around, in J: as given, or a usual one that leaves a step like the others; None after a reset."""
    if counter_max is not None:
        return counter_max if before <= counter_max else None
    for count in _RANGES:
        size = count * factor
        step = after + size - before
        if _NEAR_RANGE * size < before <= size and after < (1 - _NEAR_RANGE) * size and step <= 5 * usual_step:
            return size
    return None


def _spikes(times: np.ndarray, values: np.ndarray) -> list[str]:
    """Power samples far above the others: kept, and said."""
    median = float(np.median(values))
    high = np.flatnonzero(values > 20 * median) if median > 0 else np.array([], dtype=int)
    if not len(high) or len(high) > 0.01 * len(values) + 1:
        return []
    top = int(high[values[high].argmax()])
    return [
        f"{len(high)} samples over 20 times the median, the highest {values[top]:.4g} W at {utc(float(times[top]))}; kept"
    ]
