"""Records to test with: valid, PASSED, sealed with their hash; any field can be changed by keyword.

In a test file: `from records import gemm_record, hpl_record` (tests/conftest.py puts this folder on the path).
"""

from __future__ import annotations

import uuid
from typing import Any

from flopbench.flops import gemm_flops, lu_solve_flops
from flopbench.machine.model import Cpu, Limits, Machine, Memory
from flopbench.results import (
    SCHEMA_VERSION,
    Efficiency,
    Environment,
    Flopbench,
    Problem,
    Record,
    Rpeak,
    Spread,
    Verification,
    to_document,
)

EPS = 2.0**-53


def machine(**changes: Any) -> Machine:
    """A node with 2 x 24 cores; no such machine exists."""
    fields: dict[str, Any] = {
        "hostname": "node01",
        "os": "Debian GNU/Linux 12",
        "kernel": "6.1.0",
        "hypervisor": None,
        "cpu": Cpu(architecture="x86_64", vendor="AMD", model_name="AMD EPYC 7413", sockets=2, cores=48),
        "memory": Memory(total_bytes=256 << 30, available_bytes=250 << 30),
        "limits": Limits(affinity_cpus=48, affinity_cores=48, usable_cores=48),
    }
    return Machine(**{**fields, **changes})


def hpl_record(rmax: float = 1.5e12, n: int = 20000, **changes: Any) -> Record:
    """An FP64 LU record that passed HPL's check; `rmax` in FLOP/s sets the times."""
    flop_count = lu_solve_flops(n)
    ingredients = {
        "residual_inf": 3.0e-9,
        "a_inf": 5100.0,
        "a_one": 5090.0,
        "x_inf": 4.2,
        "x_one": 20000.0,
        "b_inf": 0.5,
        "eps": EPS,
        "n": n,
    }
    value = ingredients["residual_inf"] / (EPS * (5100.0 * 4.2 + 0.5) * n)
    check = "||Ax-b||_oo / (eps (||A||_oo ||x||_oo + ||b||_oo) N), eps = 2^-53"
    fields: dict[str, Any] = {
        "kernel": "lu_fp64_numpy",
        "routine": "lu",
        "precision": "fp64",
        "accumulator": "float64",
        "unit": "FLOP/s",
        "problem": Problem(n=n, nb=200, p=1, q=1, seed=100),
        "verification": _passed(check, value, 16.0, ingredients),
    }
    return _record(flop_count, rmax, {**fields, **changes})


def gemm_record(rmax: float = 2.5e12, n: int = 8000, precision: str = "fp32", **changes: Any) -> Record:
    """A product of two n x n matrices that passed; int8 counts OP/s."""
    fields: dict[str, Any] = {
        "kernel": f"gemm_{precision}_numpy",
        "routine": "gemm",
        "precision": precision,
        "accumulator": {"fp64": "float64", "int8": "int32"}.get(precision, "float32"),
        "unit": "OP/s" if precision == "int8" else "FLOP/s",
        "problem": Problem(n=n, m=n, k=n, seed=100),
        "verification": _passed("Freivalds", 0.01, 1.0, {}),
    }
    return _record(gemm_flops(n, n, n), rmax, {**fields, **changes})


def sealed(record: Record) -> dict[str, Any]:
    """The record as its file holds it, with the hash of its content."""
    return to_document(record)


def _passed(check: str, value: float, threshold: float, ingredients: dict[str, Any]) -> Verification:
    reason = f"{value:.3e} < {threshold}"
    return Verification(
        verdict="PASSED", reason=reason, check=check, value=value, threshold=threshold, ingredients=ingredients
    )


def _record(flop_count: float, rmax: float, changes: dict[str, Any]) -> Record:
    """Three repeats: the best gives `rmax`, the others take 1 % and 2 % longer."""
    times = [flop_count / rmax * slower for slower in (1.01, 1.0, 1.02)]
    middle = sorted(times)[1]
    rpeak = rmax / 0.8
    fields: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run_id": str(uuid.uuid4()),
        "flopbench": Flopbench(version="0.1.0", commit="0" * 40, dirty=False),
        "time_start_utc": "2026-11-02T03:04:05Z",
        "time_end_utc": "2026-11-02T03:09:05Z",
        "backend": "numpy",
        "device": "cpu",
        "ranks": 1,
        "threads_per_rank": 48,
        "flop_count": flop_count,
        "times_s": times,
        "rmax_flops": flop_count / min(times),
        "median_flops": flop_count / middle,
        "spread": Spread(
            min_s=min(times), median_s=middle, max_s=max(times), relative_range=(max(times) - min(times)) / middle
        ),
        "rpeak": Rpeak(flops=rpeak, convention="base clock", spec="epyc-7413", source="a test"),
        "rpeak_reason": None,
        "ceiling": None,
        "ceiling_reason": "not measured",
        "efficiency": Efficiency(of_rpeak=0.8, of_ceiling=None),
        "machine": machine(),
        "environment": Environment(
            python="3.11.7",
            libraries={"numpy": "2.0.0"},
            blas=[],
            variables={},
            kernel={},
            load_average_1min=0.1,
            governor=None,
            warnings=[],
        ),
        "energy": None,
        "energy_reason": "no meter",
    }
    record = Record(**{**fields, **changes})
    record.content_sha256 = to_document(record)["content_sha256"]
    return record
