"""The memory of the host and what the cgroup leaves of it."""

from __future__ import annotations

from flopbench.errors import NotPossible
from flopbench.machine.cgroup import Allowance
from flopbench.machine.model import Memory
from flopbench.machine.source import Source


def detect(source: Source, allowance: Allowance) -> Memory:
    """In bytes. /proc/meminfo gives kB of 1024 (proc(5)); elsewhere psutil. Raises NotPossible if neither answers."""
    fields = {}
    for line in (source.read("/proc/meminfo") or "").splitlines():
        key, _, value = line.partition(":")
        number = value.split()[:1]
        if number and number[0].isdigit():
            fields[key.strip()] = int(number[0]) * 1024
    total = fields.get("MemTotal")
    # before Linux 3.14 there is no MemAvailable: free memory and page cache are what can be had
    available = fields.get("MemAvailable", fields.get("MemFree", 0) + fields.get("Cached", 0))
    if total is None and source.psutil is not None:
        seen = source.psutil.virtual_memory()
        total, available = seen.total, seen.available
    if total is None:
        raise NotPossible("cannot tell how much memory there is: no /proc/meminfo and no psutil")
    limit = allowance.memory_limit_bytes
    if limit is not None and limit >= total:
        limit = None
    return Memory(
        total_bytes=total,
        available_bytes=available,
        cgroup_limit_bytes=limit,
        cgroup_available_bytes=None if limit is None else min(allowance.memory_available_bytes or 0, available),
    )
