"""What a Result must survive before it is filed. Each check gives the reasons against, one line each; no reason, no refusal.

The record's schema and its hash were checked when it was read (flopbench.results.from_document).
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flopbench.errors import UnknownName
from flopbench.flops import gemm_flops, lu_solve_flops
from flopbench.precision import precision
from flopbench.results import Record
from flopbench.units import rate

#: Recomputing from the record's own doubles: a few roundings apart, never more.
ROUNDING = 1e-9
HPL_THRESHOLD = 16.0  # HPL 2.3; a laxer one proves nothing
EPS = 2.0**-53  # what HPL divides by, whatever the factorisation was done in
CLOCK_SLACK = timedelta(minutes=10)  # clocks of two machines disagree
FIRST_RUN = datetime(2025, 1, 1, tzinfo=UTC)  # nothing was measured by flopbench before


def reasons_against(record: Record, now: datetime, explanation: str | None = None) -> list[str]:
    """Why `record` cannot be filed as verified by flopbench; empty if it can. `now` in UTC."""
    if record.foreign is not None:
        return [f"the run was not flopbench's but was read from {record.foreign}; file its output with --hpl-log"]
    if record.verification.verdict != "PASSED":
        return [f"the verdict is {record.verification.verdict} ({record.verification.reason}); only PASSED is filed"]
    return [
        *_names(record),
        *_rate(record),
        *_residual(record),
        *_peak(record, explanation),
        *_clock(record, now),
    ]


def _names(record: Record) -> Iterator[str]:
    try:
        uuid.UUID(record.run_id)
    except ValueError:
        yield f"run_id must be a UUID, got {record.run_id[:60]!r}"
    try:
        known = precision(record.precision)
    except UnknownName as error:
        yield str(error)
        return
    if record.unit != known.unit:
        yield f"unit is {record.unit}, but {record.precision} is counted in {known.unit}"
    if not record.kernel.startswith(f"{record.routine}_{record.precision}_"):
        yield f"kernel {record.kernel} is not for {record.routine} in {record.precision}"


def _rate(record: Record) -> Iterator[str]:
    problem = record.problem
    sizes = [s for s in (problem.n, problem.m, problem.k) if s is not None]
    if min(sizes) < 1:
        yield f"problem sizes must be positive, got {', '.join(map(str, sizes))}"
        return
    if record.routine == "lu":
        expected, formula = lu_solve_flops(problem.n), f"2/3 n^3 + 3/2 n^2 with n = {problem.n}"
    elif record.routine == "gemm" and problem.m and problem.k:
        expected = gemm_flops(problem.m, problem.n, problem.k)
        formula = f"2 m n k with m, n, k = {problem.m}, {problem.n}, {problem.k}"
    else:
        yield f"routine {record.routine!r} has no known operation count here; allowed: lu, gemm with m and k"
        return
    if not _near(record.flop_count, expected):
        yield f"flop_count is {record.flop_count:.6g}, but {formula} gives {expected:.6g}"
    best = record.flop_count / min(record.times_s)
    if record.rmax_flops is None or not _near(record.rmax_flops, best):
        yield (
            f"rmax_flops is {record.rmax_flops}, but flop_count over the shortest of {len(record.times_s)} times gives {best:.9g}"
        )
    if (
        record.median_flops is not None
        and record.rmax_flops is not None
        and record.median_flops > record.rmax_flops * (1 + ROUNDING)
    ):
        yield f"median_flops {record.median_flops:.6g} is above rmax_flops {record.rmax_flops:.6g}"


def _residual(record: Record) -> Iterator[str]:
    found = record.verification
    if found.value is None or found.threshold is None or not found.value < found.threshold:
        yield f"verification says PASSED, but value {found.value} is not below threshold {found.threshold}"
        return
    if record.routine != "lu":
        return
    if found.threshold > HPL_THRESHOLD:
        yield f"the residual was held against {found.threshold}, HPL's threshold is {HPL_THRESHOLD}"
    names = ("residual_inf", "a_inf", "x_inf", "b_inf", "eps", "n")
    values = [found.ingredients.get(name) for name in names]
    lacking = [name for name, value in zip(names, values, strict=True) if not isinstance(value, int | float)]
    if lacking:
        yield f"the residual cannot be recomputed: ingredients lack {', '.join(lacking)}"
        return
    residual, a, x, b, eps, n = (float(value) for value in values)  # type: ignore[arg-type]
    if n != record.problem.n:
        yield f"the residual is for n = {n:.0f}, the problem has n = {record.problem.n}"
    if not _near(eps, EPS):
        yield f"the residual was divided by eps = {eps:.6e}, HPL's is {EPS:.6e}"
    scale = eps * (a * x + b) * n
    again = residual / scale if scale > 0 else math.nan
    if not _near(again, found.value):
        yield f"the residual is given as {found.value:.6e}, its ingredients give {again:.6e}"


def _peak(record: Record, explanation: str | None) -> Iterator[str]:
    if record.rpeak is None or record.rmax_flops is None:
        return
    if not (record.rpeak.flops > 0 and math.isfinite(record.rpeak.flops)):
        yield f"rpeak.flops must be a positive number, got {record.rpeak.flops}"
        return
    explained = explanation or any("rpeak" in warning.lower() for warning in record.environment.warnings)
    if record.rmax_flops > record.rpeak.flops and not explained:
        yield (
            f"Rmax {rate(record.rmax_flops, record.unit)} is above Rpeak {rate(record.rpeak.flops, record.unit)} "
            f"({record.rpeak.convention}); say why with --explain TEXT"
        )


def _clock(record: Record, now: datetime) -> Iterator[str]:
    moments = []
    for name in ("time_start_utc", "time_end_utc"):
        try:
            moment = datetime.fromisoformat(getattr(record, name))
        except ValueError:
            yield f"{name} is not a date and time, got {getattr(record, name)!r}"
            return
        if moment.tzinfo is None:
            yield f"{name} has no time zone, got {getattr(record, name)!r}; expected UTC as 2026-11-02T03:04:05Z"
            return
        moments.append(moment)
    start, end = moments
    if end < start:
        yield f"the run ends ({record.time_end_utc}) before it starts ({record.time_start_utc})"
    elif sum(record.times_s) > (end - start).total_seconds() + 1.0:
        yield f"the repeats take {sum(record.times_s):.1f} s, but the run lasted {(end - start).total_seconds():.1f} s"
    if start < FIRST_RUN:
        yield f"the run starts in {start.year}, before flopbench existed; was the machine's clock set?"
    if end > now + CLOCK_SLACK:
        yield f"the run ends at {record.time_end_utc}, which is in the future; was the machine's clock set?"


def _near(got: float, expected: float) -> bool:
    return math.isclose(got, expected, rel_tol=ROUNDING, abs_tol=0.0)
