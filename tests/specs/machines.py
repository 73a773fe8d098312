"""Machines for the tests of the hardware table: made up, each after a kind of host that people have."""

from __future__ import annotations

from typing import Any

from flopbench.machine.model import Cpu, Gpu, Limits, Machine, Memory

AVX512 = ["avx", "avx2", "avx512f", "fma", "sse2"]


def machine(
    model_name: str | None,
    *,
    sockets: int | None = 2,
    cores: int | None = 40,
    threads_per_core: int = 1,
    usable: int | None = None,
    quota: float | None = None,
    hypervisor: str | None = None,
    gpus: list[Gpu] | None = None,
    **cpu: Any,
) -> Machine:
    """A Machine with this processor; `cores` physical cores in all, all usable unless `usable` or `quota` say otherwise."""
    count = cores if cores is not None else 1
    usable = count if usable is None else usable
    return Machine(
        hostname="node",
        os="Linux",
        kernel="6.8",
        hypervisor=hypervisor,
        cpu=Cpu(
            architecture="x86_64",
            model_name=model_name,
            sockets=sockets,
            cores=cores,
            threads_per_core=threads_per_core,
            **cpu,
        ),
        memory=Memory(total_bytes=1 << 34, available_bytes=1 << 33),
        limits=Limits(
            affinity_cpus=usable * threads_per_core, affinity_cores=usable, quota_cpus=quota, usable_cores=usable
        ),
        gpus=gpus or [],
    )
