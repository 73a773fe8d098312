"""Which hardware thread belongs to which core, socket and memory node: sysfs, else lscpu's table, else /proc/cpuinfo."""

from __future__ import annotations

from dataclasses import dataclass

from flopbench.machine.source import Source

_CPU = "/sys/devices/system/cpu"


@dataclass(frozen=True)
class HardwareThread:
    """One online CPU as the kernel numbers them. `core` tells physical cores apart across the whole host."""

    cpu: int
    core: tuple[int, ...]
    socket: int | None
    capacity: int | None = None  # relative speed; differs between the core types of a hybrid processor


@dataclass(frozen=True)
class Topology:
    """The online hardware threads; empty if the host tells nothing. `origin` says where this is from."""

    threads: tuple[HardwareThread, ...]
    origin: str

    @property
    def cores(self) -> int | None:
        return len({t.core for t in self.threads}) or None

    @property
    def sockets(self) -> int | None:
        known = {t.socket for t in self.threads}
        return len(known) if known and None not in known else None

    @property
    def threads_per_core(self) -> int | None:
        """The most that any core has: on a hybrid processor the efficiency cores may have fewer."""
        counts: dict[tuple[int, ...], int] = {}
        for thread in self.threads:
            counts[thread.core] = counts.get(thread.core, 0) + 1
        return max(counts.values(), default=None)

    def cores_of(self, cpus: frozenset[int]) -> int:
        """How many physical cores stand behind these hardware threads."""
        return len({t.core for t in self.threads if t.cpu in cpus})


def read(source: Source, cpuinfo: list[dict[str, str]]) -> Topology:
    """The topology of the host, from the first place that gives it whole. `cpuinfo` is one dictionary a processor."""
    return (
        _from_sysfs(source)
        or _from_lscpu(source)
        or _from_cpuinfo(cpuinfo)
        or Topology((), "sysfs, lscpu and /proc/cpuinfo say nothing about cores")
    )


def _from_sysfs(source: Source) -> Topology | None:
    present = [int(name[3:]) for name in source.names(_CPU) if name.startswith("cpu") and name[3:].isdigit()]
    cpus = source.cpu_list(f"{_CPU}/online") or sorted(present)
    threads = []
    for cpu in cpus:
        folder = f"{_CPU}/cpu{cpu}/topology"
        siblings = source.cpu_list(f"{folder}/core_cpus_list") or source.cpu_list(f"{folder}/thread_siblings_list")
        if siblings is None:
            return None
        socket = source.number(f"{folder}/physical_package_id")
        threads.append(
            HardwareThread(
                cpu,
                (min(siblings),),
                None if socket is None or socket < 0 else socket,
                source.number(f"{_CPU}/cpu{cpu}/cpu_capacity"),
            )
        )
    return Topology(tuple(threads), "sysfs") if threads else None


def _from_lscpu(source: Source) -> Topology | None:
    """`lscpu --parse`: comment lines begin with #, then CPU,CORE,SOCKET as numbers; empty where not known."""
    text = source.runner(["lscpu", "--parse=CPU,CORE,SOCKET"])
    threads = []
    for line in (text or "").splitlines():
        fields = line.split(",")
        if line.startswith("#") or len(fields) < 3 or not (fields[0].isdigit() and fields[1].isdigit()):
            continue
        threads.append(
            HardwareThread(int(fields[0]), (int(fields[1]),), int(fields[2]) if fields[2].isdigit() else None)
        )
    return Topology(tuple(threads), "lscpu") if threads else None


def _from_cpuinfo(cpuinfo: list[dict[str, str]]) -> Topology | None:
    """x86 gives physical id and core id for each processor. Only if all processors of a socket are listed can they be counted."""
    threads = []
    for block in cpuinfo:
        ids = [block.get(key, "") for key in ("processor", "physical id", "core id")]
        if not all(value.isdigit() for value in ids):
            return None
        threads.append(HardwareThread(int(ids[0]), (int(ids[1]), int(ids[2])), int(ids[1])))
    siblings = cpuinfo[0].get("siblings", "") if cpuinfo else ""
    if not threads or (siblings.isdigit() and int(siblings) > len(threads)):
        return None
    return Topology(tuple(threads), "/proc/cpuinfo")


def performance_and_efficiency(source: Source, topology: Topology) -> tuple[int | None, int | None]:
    """Cores of each type on a hybrid processor, else (None, None).

    Intel: the kernel's PMU lists /sys/devices/cpu_core/cpus and cpu_atom/cpus. Others: cpu_capacity, 1024 for the fastest cores;
    all slower ones count as efficiency cores (Linux, Documentation/scheduler/sched-capacity.rst).
    """
    lists = [source.cpu_list(f"/sys/devices/cpu_{kind}/cpus") for kind in ("core", "atom")]
    if all(lists):
        fast, slow = (topology.cores_of(frozenset(cpus or ())) for cpus in lists)
        return (fast, slow) if fast and slow else (None, None)
    capacities = {t.capacity for t in topology.threads}
    if None in capacities or len(capacities) < 2:
        return None, None
    highest = max(c for c in capacities if c is not None)
    fast = topology.cores_of(frozenset(t.cpu for t in topology.threads if t.capacity == highest))
    return fast, (topology.cores or 0) - fast
