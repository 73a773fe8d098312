"""Records as runs would have written them, without a run: the values are invented, the shape is the schema's."""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec

from flopbench import results
from flopbench.flops import gemm_flops, lu_solve_flops
from flopbench.machine.model import Cache, Cpu, Limits, Machine, Memory
from flopbench.precision import precision
from flopbench.results import Record

MACHINE = Machine(
    hostname="node01",
    os="Debian GNU/Linux 12",
    kernel="Linux 6.1.0",
    hypervisor=None,
    cpu=Cpu(
        architecture="x86_64",
        model_name="Example CPU 9000 @ 2.00GHz",
        sockets=2,
        cores=32,
        isa=["avx2", "fma"],
        base_hz=2.0e9,
        caches=[Cache(level=2, kind="unified", bytes=1 << 20)],
    ),
    memory=Memory(total_bytes=1 << 36, available_bytes=1 << 35),
    limits=Limits(affinity_cpus=64, affinity_cores=32, usable_cores=32),
    unknown={"hypervisor": "no hypervisor flag in cpuinfo"},
)
_numbers = count(1)


def gemm_record(
    precision_name: str = "fp64",
    backend: str = "numpy",
    n: int = 4096,
    rate: float = 1e11,
    verdict: str = "PASSED",
    m: int | None = None,
    k: int | None = None,
    **changes: Any,
) -> Record:
    m, k = m or n, k or n
    kind = precision(precision_name)
    return _record(
        changes,
        rate,
        verdict,
        kernel=f"gemm_{precision_name}_{backend}",
        routine="gemm",
        precision=precision_name,
        accumulator=kind.accumulator,
        backend=backend,
        unit=kind.unit,
        problem=results.Problem(n=n, m=m, k=k, seed=100),
        flop_count=gemm_flops(m, n, k),
    )


def lu_record(n: int = 8000, rate: float = 8e10, verdict: str = "PASSED", **changes: Any) -> Record:
    return _record(
        changes,
        rate,
        verdict,
        kernel="lu_fp64_numpy",
        routine="lu",
        precision="fp64",
        accumulator="float64",
        backend="numpy",
        unit="FLOP/s",
        problem=results.Problem(n=n, nb=192, p=1, q=1, seed=100),
        flop_count=lu_solve_flops(n),
    )


def _record(changes: dict[str, Any], rate: float, verdict: str, **fields: Any) -> Record:
    passed = verdict == "PASSED"
    seconds = fields["flop_count"] / rate
    number = next(_numbers)
    record = Record(
        schema_version=1,
        run_id=f"{number:08x}-0000-4000-8000-000000000000",
        flopbench=results.Flopbench(version="0.1.0", commit="0123456789abcdef", dirty=False),
        time_start_utc=f"2026-05-01T10:{number // 60 % 60:02d}:{number % 60:02d}.000000Z",
        time_end_utc="2026-05-01T11:00:00.000000Z",
        device="cpu",
        ranks=1,
        threads_per_rank=32,
        times_s=[] if verdict == "SKIPPED" else [seconds, seconds * 1.01],
        rmax_flops=rate if passed else None,
        median_flops=rate / 1.005 if passed else None,
        spread=results.Spread(min_s=seconds, median_s=seconds * 1.005, max_s=seconds * 1.01, relative_range=0.00995),
        rpeak=None,
        rpeak_reason="the processor is not in the hardware table",
        ceiling=results.Ceiling(flops=rate / 0.8, method="register-resident FMA loop, 32 threads"),
        ceiling_reason=None,
        efficiency=results.Efficiency(of_rpeak=None, of_ceiling=0.8 if passed else None),
        verification=results.Verification(
            verdict=verdict,
            reason="within the bound" if passed else "3 times the error bound in column 7",
            check="largest difference over its bound",
            value=0.02 if passed else 3.0,
            threshold=1.0,
            ingredients={"rounds": 2},
        ),
        machine=MACHINE,
        environment=results.Environment(
            python="CPython 3.12.1",
            libraries={"numpy": "2.1.0"},
            blas=[{"internal_api": "openblas", "version": "0.3.30", "architecture": "Haswell", "user_api": "blas"}],
            variables={"OMP_NUM_THREADS": "32"},
            kernel={"isa": "avx2"},
            load_average_1min=0.1,
            governor="performance",
            warnings=[],
        ),
        energy=None,
        plan=[results.PlanLine(choice="threads", value="32", reason="one for each core")],
        **fields,
    )
    return results.from_document(results.to_document(msgspec.structs.replace(record, **changes)))
