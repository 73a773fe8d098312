"""Who had the CPUs meanwhile: the hypervisor (steal), this gate's own leg, or others. From /proc/stat; Linux only."""

from __future__ import annotations

import os
import resource
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")


@dataclass(frozen=True)
class CpuTimes:
    """Seconds since boot, summed over the CPUs that this process may use, and of this process's finished children."""

    total: float
    busy: float
    steal: float
    own: float


def parse_stat(text: str, cpus: Collection[int], ticks_per_s: int) -> tuple[float, float, float]:
    """Total, busy and stolen seconds of `cpus` in the text of /proc/stat (proc(5); guest time is part of user time)."""
    total = busy = steal = 0
    for line in text.splitlines():
        name, *fields = line.split()
        if not (name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cpus):
            continue
        user, nice, system, idle, iowait, irq, softirq, stolen = (int(field) for field in fields[:8])
        busy += user + nice + system + irq + softirq
        steal += stolen
        total += user + nice + system + idle + iowait + irq + softirq + stolen
    return total / ticks_per_s, busy / ticks_per_s, steal / ticks_per_s


def now() -> CpuTimes | None:
    """The counters at this moment; None where the system has none."""
    try:
        text = _STAT.read_text()
    except OSError:
        return None
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = parse_stat(text, os.sched_getaffinity(0), os.sysconf("SC_CLK_TCK"))
    return CpuTimes(*seconds, own=children.ru_utime + children.ru_stime)


def shares(before: CpuTimes | None, after: CpuTimes | None) -> tuple[float, float]:
    """Shares of the CPUs' time between two readings: stolen, and used by processes other than our own. Zeros if unknown."""
    if before is None or after is None or after.total <= before.total:
        return 0.0, 0.0
    total = after.total - before.total
    others = (after.busy - before.busy) - (after.own - before.own)
    return (after.steal - before.steal) / total, max(0.0, others) / total
