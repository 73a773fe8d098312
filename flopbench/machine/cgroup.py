"""What the control group of this process allows: CPU quota and memory, versions 1 and 2, the strictest on the way to the root.

Source: Linux, Documentation/admin-guide/cgroup-v2.rst (cpu.max, memory.max, memory.high) and cgroup-v1/memory.rst, scheduler/sched-bwc.rst
(cpu.cfs_quota_us, cpu.cfs_period_us).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from flopbench.machine.source import Source

#: Version 1 writes "no limit" as the largest multiple of the page size in 63 bits; anything of that order is none.
_NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True)
class Allowance:
    """None: not limited. `memory_available_bytes` is what is left under the tightest limit, page cache that can go counted as free."""

    cpus: float | None = None
    memory_limit_bytes: int | None = None
    memory_available_bytes: int | None = None


@dataclass(frozen=True)
class _Mount:
    point: str
    root: str  # which cgroup is seen at the mount point
    version: int
    controllers: frozenset[str]


def allowance(source: Source) -> Allowance:
    """The limits that apply to this process."""
    mounts = _mounts(source)
    cpus = [c for folder, version in _folders(source, mounts, "cpu") if (c := _cpu_quota(source, folder, version))]
    memory = [m for folder, version in _folders(source, mounts, "memory") if (m := _memory(source, folder, version))]
    return Allowance(
        min(cpus, default=None),
        min((limit for limit, _ in memory), default=None),
        min((left for _, left in memory), default=None),
    )


def _mounts(source: Source) -> list[_Mount]:
    """The cgroup mounts of /proc/self/mountinfo: id parent dev root point options [optional...] - type device superoptions (proc(5))."""
    found = []
    for line in (source.read("/proc/self/mountinfo") or "").splitlines():
        left, separator, right = line.partition(" - ")
        fields, tail = left.split(), right.split()
        if not separator or len(fields) < 5 or len(tail) < 3 or tail[0] not in ("cgroup", "cgroup2"):
            continue
        version = 2 if tail[0] == "cgroup2" else 1
        found.append(_Mount(fields[4], fields[3], version, frozenset(tail[2].split(","))))
    return found


def _folders(source: Source, mounts: list[_Mount], controller: str) -> Iterator[tuple[str, int]]:
    """(folder, version) of this process's cgroup and its parents up to the mount point, for each hierarchy with `controller`.

    /proc/self/cgroup has lines "id:controllers:path"; version 2 is "0::path". Seen from inside a container the path may lie
    outside of what is mounted; then the mount point itself is this process's cgroup.
    """
    for line in (source.read("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and controller not in controllers.split(","):
            continue
        for mount in mounts:
            if mount.version != version or (version == 1 and controller not in mount.controllers):
                continue
            inside = PurePosixPath(path)
            try:
                relative = inside.relative_to(mount.root)
            except ValueError:
                relative = PurePosixPath()
            if not source.exists(str(PurePosixPath(mount.point) / relative)):
                relative = PurePosixPath()
            for part in (relative, *relative.parents):
                yield str(PurePosixPath(mount.point) / part), version


def _cpu_quota(source: Source, folder: str, version: int) -> float | None:
    """CPUs' worth of time per period: 150000 of 100000 us is 1.5."""
    if version == 2:
        quota, _, period = (source.read(f"{folder}/cpu.max") or "").partition(" ")
    else:
        quota = source.read(f"{folder}/cpu.cfs_quota_us") or ""
        period = source.read(f"{folder}/cpu.cfs_period_us") or ""
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:  # "max", "-1", or no such file
        return None
    return int(quota) / int(period)


def _memory(source: Source, folder: str, version: int) -> tuple[int, int] | None:
    """(limit, what is left of it) in bytes, or None if this level sets none."""
    if version == 2:
        limits = [source.number(f"{folder}/{name}") for name in ("memory.max", "memory.high")]
        used = source.number(f"{folder}/memory.current")
        reclaimable_key = "inactive_file"
    else:
        limits = [source.number(f"{folder}/memory.limit_in_bytes")]
        used = source.number(f"{folder}/memory.usage_in_bytes")
        reclaimable_key = "total_inactive_file"
    set_limits = [limit for limit in limits if limit is not None and limit < _NO_LIMIT_BYTES]
    if not set_limits:
        return None
    statistics = dict(
        line.split(maxsplit=1) for line in (source.read(f"{folder}/memory.stat") or "").splitlines() if " " in line
    )
    text = statistics.get(reclaimable_key, "")
    reclaimable = int(text) if text.isdigit() else 0
    limit = min(set_limits)
    return limit, max(0, limit - max(0, (used or 0) - reclaimable))
