"""What this process may use of the host: affinity and cgroup quota, in cores, never in hardware threads."""

from __future__ import annotations

import math

from flopbench.errors import NotPossible
from flopbench.machine.cgroup import Allowance
from flopbench.machine.model import Cpu, Limits
from flopbench.machine.source import Source
from flopbench.machine.topology import Topology


def detect(source: Source, topology: Topology, cpu: Cpu, allowance: Allowance) -> tuple[Limits, dict[str, str]]:
    """(limits, unknown). `usable_cores` is the smaller of the cores in the affinity mask and the whole CPUs of the quota, at least 1:

    a thread that runs into the quota is stopped until the next period, and all others wait for it, so 1.5 CPUs means one thread.
    """
    unknown: dict[str, str] = {}
    cpus = source.affinity
    if cpus is None:
        cpus = frozenset(t.cpu for t in topology.threads)
    if topology.threads:
        threads, cores = len(cpus), topology.cores_of(cpus)
    elif cpus:
        threads, cores = len(cpus), -(-len(cpus) // (cpu.threads_per_core or 1))
        unknown["limits.affinity_cores"] = (
            f"{topology.origin}; taken as {threads} hardware threads / {cpu.threads_per_core or 1} per core"
        )
    else:
        logical = source.psutil.cpu_count(logical=True) if source.psutil else None
        physical = source.psutil.cpu_count(logical=False) if source.psutil else None
        if not (logical or physical):
            raise NotPossible(
                "cannot tell how many CPUs this process may use: no affinity mask, sysfs, lscpu or psutil"
            )
        threads, cores = logical or physical, physical or logical
    cores = max(1, cores)
    quota = allowance.cpus
    usable = cores if quota is None else max(1, min(cores, math.floor(quota)))
    return Limits(affinity_cpus=threads, affinity_cores=cores, quota_cpus=quota, usable_cores=usable), unknown
