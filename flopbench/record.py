"""Builds the Result record from what a run was asked, what it saw, and where it ran."""

from __future__ import annotations

import statistics
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from flopbench import provenance, results, timing
from flopbench.kernel_api import Comm, Kernel
from flopbench.machine import blas
from flopbench.machine.model import Machine
from flopbench.measure import Measurement
from flopbench.peaks import Peaks
from flopbench.precision import precision
from flopbench.results import Energy, Environment, PlanLine, Record

_NOISY_RANGE = 0.05  # repeats further apart than this are worth a word
_STEAL = 0.01  # of the CPU time between the first and the last repeat


@dataclass(frozen=True)
class Context:
    """Of one command: the ranks, the machine, its peaks per precision, and the environment as it was when the command began."""

    comm: Comm
    machine: Machine
    threads: int
    peaks: Peaks
    environment: Environment


def build(
    context: Context,
    kernel: Kernel,
    problem: results.Problem,
    flop_count: float,
    seen: Measurement,
    time_start_utc: str,
    plan: list[PlanLine],
    energy: Energy | None = None,
    **extra: Any,
) -> Record:
    """The record of one Run. `extra` are further fields of Record (tuning, phases ...)."""
    kind = precision(kernel.precision)
    assert seen.verification is not None and seen.times_s
    passed = seen.verification.verdict == "PASSED"
    best = flop_count / min(seen.times_s) if passed else None
    rpeak, rpeak_reason = context.peaks.rpeak(kernel)
    ceiling, ceiling_reason = context.peaks.ceiling(kernel)
    spread = timing.spread(seen.times_s) if len(seen.times_s) > 1 else None
    efficiency = results.Efficiency(
        of_rpeak=best / rpeak.flops if best and rpeak else None,
        of_ceiling=best / ceiling.flops if best and ceiling else None,
    )
    return Record(
        schema_version=results.SCHEMA_VERSION,
        run_id=str(uuid.uuid4()),
        flopbench=provenance.flopbench(),
        time_start_utc=time_start_utc,
        time_end_utc=timing.utc_now(),
        kernel=kernel.name,
        routine=kernel.routine,
        precision=kernel.precision,
        accumulator=kernel.accumulator or kind.accumulator,
        backend=kernel.backend,
        device=kernel.device,
        unit=kind.unit,
        problem=problem,
        ranks=context.comm.size,
        threads_per_rank=context.threads,
        flop_count=flop_count,
        times_s=seen.times_s,
        run_times_utc=seen.run_times_utc,
        rmax_flops=best,
        median_flops=flop_count / statistics.median(seen.times_s) if passed else None,
        spread=spread,
        rpeak=rpeak,
        rpeak_reason=rpeak_reason,
        ceiling=ceiling,
        ceiling_reason=ceiling_reason,
        efficiency=efficiency,
        verification=seen.verification,
        machine=context.machine,
        environment=_environment(context, kernel, seen, spread, efficiency),
        energy=energy,
        gpu_meters=seen.gpu_meters,
        plan=plan,
        **extra,
    )


def _environment(
    context: Context, kernel: Kernel, seen: Measurement, spread: results.Spread | None, efficiency: results.Efficiency
) -> Environment:
    return msgspec.structs.replace(
        context.environment,
        blas=blas.loaded(),
        kernel=kernel.describe(),
        steal_fraction=seen.steal_fraction,
        warnings=[*context.environment.warnings, *_warnings(seen, spread, efficiency, kernel.device)],
    )


def _noise(spread: results.Spread, device: str) -> list[str]:
    """On a GPU, hundreds of short repeats: the extremes of so many always lie apart (launching takes 5 us or 500), the median does not."""
    if device == "cuda" and spread.median_low_s is not None and spread.median_high_s is not None:
        apart = (spread.median_high_s - spread.median_low_s) / spread.median_s
        if apart > _NOISY_RANGE:
            advice = "look at its clock and power, and at other programs on it"
            return [f"noisy: the median on the GPU is known to {apart:.0%} only; {advice}, or give more --time"]
        return []
    if spread.relative_range > _NOISY_RANGE:
        return [f"noisy: the repeats are {spread.relative_range:.0%} apart; close other programs and repeat"]
    return []


def _warnings(
    seen: Measurement, spread: results.Spread | None, efficiency: results.Efficiency, device: str
) -> list[str]:
    found = []
    if seen.interrupted:
        found.append(f"interrupted; the {len(seen.times_s)} repeat(s) that were finished are kept")
    if spread is not None:
        found += _noise(spread, device)
    if seen.steal_fraction is not None and seen.steal_fraction > _STEAL:
        found.append(
            f"the hypervisor gave {seen.steal_fraction:.1%} of the CPU time to others during the run; repeat it"
        )
    for name, share in (("Rpeak", efficiency.of_rpeak), ("the ceiling", efficiency.of_ceiling)):
        if share is not None and share > 1.0:
            found.append(
                f"{share:.1%} of {name}: the clock was above the one it stands for (turbo), the wrong processor or clock was taken, "
                "or the arithmetic is not what it is called (emulated FP64)"
            )
    return found
