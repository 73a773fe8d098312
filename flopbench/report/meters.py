"""What NVML saw during products on a GPU: clock, power, throttling; and when a power can be told at all.

NVML's power is an average over up to LAG_S of flopbench.gpu.nvml: of a run of 13 ms after a pause it tells the pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flopbench.report.content import Column, Table
from flopbench.report.rates import gemm_order, size_of
from flopbench.results import Record

BUSY_S = 0.5  # of timed runs at least, for a power
BUSY_SHARE = 0.75  # of the time from the second repeat (the first is checked in full after it) to the last, at least

_COLUMNS = (
    Column("Kernel"),
    Column("Size", True),
    Column("SM clock", True),
    Column("Power", True),
    Column("Busy", True),
    Column("Readings", True),
    Column("Throttled"),
)
_TOO_SHORT = "too short"


def busy(record: Record) -> tuple[float, float]:
    """Seconds of timed runs, and the share of the time that they take from the second repeat on (of one repeat: of that)."""
    part = slice(1, None) if len(record.times_s) > 1 else slice(None)
    ends = record.run_times_utc[part]
    if not ends:
        return sum(record.times_s), 0.0
    window = (datetime.fromisoformat(ends[-1][1]) - datetime.fromisoformat(ends[0][0])).total_seconds()
    return sum(record.times_s), min(1.0, sum(record.times_s[part]) / window) if window > 0 else 0.0


def power_w(record: Record) -> float | None:
    """The mean power in W, if the GPU was at work long enough and without long pauses; the record has the raw mean whatever it is worth."""
    seconds, share = busy(record)
    if record.gpu_meters is None or seconds < BUSY_S or share < BUSY_SHARE:
        return None
    return record.gpu_meters.mean_power_w


def meter_table(records: Sequence[Record], best_only: bool = False) -> Table | None:
    """One row a run that NVML saw; `best_only`: a row a kernel, its fastest size with a power, else its fastest. None without any."""
    seen = sorted((record for record in records if record.gpu_meters is not None), key=gemm_order)
    notes = ["Throttled: in which share of the readings. Busy: share of the time that the timed runs took."]
    if best_only:
        best: dict[str, Record] = {}
        for record in seen:
            known = best.get(record.kernel)
            if known is None or _merit(record) > _merit(known):
                best[record.kernel] = record
        seen = list(best.values())
        notes.append(
            "Each kernel at its fastest size, of those that ran long enough for a power; the rest is in the records."
        )
    if not seen:
        return None
    rows = tuple(_row(record) for record in seen)
    if any(_TOO_SHORT in row for row in rows):
        notes.append(
            f"{_TOO_SHORT} to tell: under {BUSY_S:g} s of timed runs, or the GPU busy for under {BUSY_SHARE:.0%} of the time."
        )
    return Table("GPU during the timed runs (NVML)", _COLUMNS, rows, tuple(notes))


def _merit(record: Record) -> tuple[bool, float]:
    return power_w(record) is not None, record.rmax_flops or 0.0


def _row(record: Record) -> tuple[str, ...]:
    seen = record.gpu_meters
    assert seen is not None
    power = power_w(record)
    unknown = "-" if seen.mean_power_w is None else _TOO_SHORT
    return (
        record.kernel,
        size_of(record),
        "-" if seen.mean_sm_clock_hz is None else f"{seen.mean_sm_clock_hz / 1e6:.0f} MHz",
        unknown if power is None else f"{power:.0f} W",
        f"{busy(record)[1]:.0%}",
        str(seen.samples),
        ", ".join(f"{reason.removeprefix('software ')} {share:.0%}" for reason, share in seen.throttled.items())
        or "no",
    )
