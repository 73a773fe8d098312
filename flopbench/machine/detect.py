"""The one entry: what is this machine? Detected, never assumed; what stays unknown has its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flopbench.machine import cgroup, cpu, gpu, host, limits, memory, network, topology
from flopbench.machine.model import Machine
from flopbench.machine.source import Source


def detect(
    root: str | Path = "/",
    runner: Callable[[list[str]], str | None] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    affinity: frozenset[int] | None = None,
    uname: Any = None,
    nvml: Any = None,
) -> Machine:
    """This host; or, with `root`, one that was recorded as files (proc/, sys/, etc/), where every argument stands for the host's own.

    Args:
        root: folder that holds proc/ and sys/
        runner: gives the output of a command or None; a recorded host answers `lscpu --json` and `lscpu --parse=...` if it can
        environ: environment variables of the process
        affinity: hardware threads that the process may use
        uname: system, node, release, machine
        nvml: the pynvml module, or one that behaves like it

    Raises NotPossible if neither the number of CPUs nor the size of memory can be found out.
    """
    here = Source.here()
    if str(root) == "/" and runner is None:
        source = here
    else:
        source = Source(
            root=Path(root),
            runner=runner or (lambda command: None),
            environ=environ if environ is not None else {},
            affinity=affinity,
            uname=uname or here.uname,
        )
    return of(source, nvml)


def of(source: Source, nvml: Any = None) -> Machine:
    """The Machine behind `source`."""
    cpuinfo = cpu.read_cpuinfo(source)
    lscpu = cpu.read_lscpu(source)
    layout = topology.read(source, cpuinfo)
    hypervisor, hypervisor_reason = host.hypervisor(source, cpuinfo, lscpu)
    processor, unknown = cpu.detect(source, cpuinfo, lscpu, layout, hypervisor)
    allowance = cgroup.allowance(source)
    limit, limit_reasons = limits.detect(source, layout, processor, allowance)
    gpus, gpu_reasons = gpu.detect(source, nvml)
    networks, network_reasons = network.detect(source)
    if hypervisor_reason:
        unknown["hypervisor"] = hypervisor_reason
    return Machine(
        hostname=source.uname.node,
        os=host.operating_system(source),
        kernel=f"{source.uname.system} {source.uname.release}",
        hypervisor=hypervisor,
        container=host.container(source),
        cpu=processor,
        memory=memory.detect(source, allowance),
        limits=limit,
        gpus=gpus,
        network=networks,
        job=host.job(source.environ, source),
        unknown={**unknown, **limit_reasons, **gpu_reasons, **network_reasons},
        notes=_notes(hypervisor, processor.threads_per_core),
    )


def _notes(hypervisor: str | None, threads_per_core: int | None) -> list[str]:
    if hypervisor is None or (threads_per_core or 1) > 1:
        return []
    return [
        "a virtual machine: sockets and cores are what the hypervisor shows; a virtual CPU may be half a core (one hardware thread)"
    ]
