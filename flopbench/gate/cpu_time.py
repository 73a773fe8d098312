"""Who had the CPUs meanwhile: the hypervisor (steal), the leg that is measured, or others. From /proc; Linux only."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CpuTimes:
    """Seconds, summed over the CPUs that this process may use, and of one process with its finished children."""

    total: float = 0.0
    busy: float = 0.0
    steal: float = 0.0
    own: float = 0.0

    def __add__(self, more: CpuTimes) -> CpuTimes:
        return CpuTimes(self.total + more.total, self.busy + more.busy, self.steal + more.steal, self.own + more.own)

    def __sub__(self, less: CpuTimes) -> CpuTimes:
        return CpuTimes(self.total - less.total, self.busy - less.busy, self.steal - less.steal, self.own - less.own)

    def shares(self) -> tuple[float, float]:
        """Shares of the CPUs' time: stolen by the hypervisor, and used by other processes. Zeros if nothing is known."""
        if self.total <= 0:
            return 0.0, 0.0
        return self.steal / self.total, max(0.0, self.busy - self.own) / self.total


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


def parse_process(text: str, ticks_per_s: int) -> float:
    """CPU seconds of a process and its finished children in the text of /proc/PID/stat (proc(5); fields 14 to 17)."""
    fields = text[text.rindex(")") + 1 :].split()  # the name in front may hold spaces and brackets
    return sum(map(int, fields[11:15])) / ticks_per_s


def now(pid: int) -> CpuTimes:
    """The counters at this moment, since boot and since the start of process `pid`; zeros where the system has none."""
    try:
        system, process = Path("/proc/stat").read_text(), Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return CpuTimes()
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    return CpuTimes(*parse_stat(system, os.sched_getaffinity(0), ticks_per_s), own=parse_process(process, ticks_per_s))
