"""Records for tests of comparisons: valid, small, and different only in what a test names."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from flopbench.machine.model import Cpu, Limits, Machine, Memory
from flopbench.results import (
    Ceiling,
    Efficiency,
    Environment,
    Flopbench,
    Problem,
    Record,
    Spread,
    Verification,
    from_document,
    to_document,
)

MACHINE = Machine(
    hostname="node1",
    os="Linux",
    kernel="6.1",
    hypervisor=None,
    cpu=Cpu(
        architecture="x86_64", model_name="Test CPU", family=25, model=1, stepping=1, sockets=1, cores=2, isa=["avx2"]
    ),
    memory=Memory(total_bytes=1 << 30, available_bytes=1 << 29),
    limits=Limits(affinity_cpus=2, affinity_cores=2, usable_cores=2),
)
OPENBLAS = [{"user_api": "blas", "internal_api": "openblas", "version": "0.3.28", "architecture": "Zen"}]


def record(
    rate: float = 50e9,
    *,
    minute: int = 0,
    repeats: int = 3,
    verdict: str = "PASSED",
    ceiling: float | None = None,
    n: int = 1000,
    times_s: list[float] | None = None,
    blas: list[dict[str, Any]] = OPENBLAS,
    machine: Machine = MACHINE,
    **changes: Any,
) -> Record:
    """A PASSED run of lu_fp64_numpy with `rate` FLOP/s as its best repeat; `minute` sets when it ran."""
    flop_count = 2 / 3 * n**3 + 1.5 * n**2
    times = times_s or [flop_count / rate * (1 + 0.01 * i) for i in range(repeats)]
    passed = verdict == "PASSED"
    fields: dict[str, Any] = {
        "schema_version": 1,
        "run_id": str(uuid.uuid4()),
        "flopbench": Flopbench(version="0.1.0", commit=None, dirty=None),
        "time_start_utc": f"2026-01-01T{minute // 60:02d}:{minute % 60:02d}:00Z",
        "time_end_utc": f"2026-01-01T{minute // 60:02d}:{minute % 60:02d}:30Z",
        "kernel": "lu_fp64_numpy",
        "routine": "lu",
        "precision": "fp64",
        "accumulator": "float64",
        "backend": "numpy",
        "device": "cpu",
        "unit": "FLOP/s",
        "problem": Problem(n=n, seed=100, nb=128, p=1, q=1),
        "ranks": 1,
        "threads_per_rank": 2,
        "flop_count": flop_count,
        "times_s": times,
        "rmax_flops": flop_count / min(times) if passed else None,
        "median_flops": flop_count / sorted(times)[len(times) // 2] if passed else None,
        "spread": Spread(
            min_s=min(times), median_s=sorted(times)[len(times) // 2], max_s=max(times), relative_range=0.02
        ),
        "rpeak": None,
        "rpeak_reason": "not looked up",
        "ceiling": Ceiling(flops=ceiling, method="fma") if ceiling else None,
        "ceiling_reason": None if ceiling else "not measured",
        "efficiency": Efficiency(of_rpeak=None, of_ceiling=None),
        "verification": Verification(
            verdict=verdict, reason="residual", check="hpl", value=0.01, threshold=16.0, ingredients={}
        ),
        "machine": machine,
        "environment": Environment(
            python="3.11",
            libraries={},
            blas=blas,
            variables={},
            kernel={},
            load_average_1min=None,
            governor=None,
            warnings=[],
        ),
        "energy": None,
    } | changes
    return from_document(to_document(Record(**fields)))


def on(cpu: str) -> Machine:
    """The same machine with another processor."""
    return msgspec.structs.replace(MACHINE, cpu=msgspec.structs.replace(MACHINE.cpu, model_name=cpu))
