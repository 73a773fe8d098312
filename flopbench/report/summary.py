"""The short answer of `flopbench hpl`, in a dozen rows that fit 80 columns."""

from __future__ import annotations

import textwrap

from flopbench import units
from flopbench.report import energy
from flopbench.results import PlanLine, Record

_WIDTH = 80


def summary(record: Record, saved_to: str | None) -> list[str]:
    """Rmax against Rpeak and ceiling, the verdict, and what the run was: (label, text) lines of at most 80 columns where possible."""
    rows = [("Rmax", _rmax(record)), ("verdict", _verdict(record))]
    rows.append(("of Rpeak", _share(record.efficiency.of_rpeak, record.rpeak, record.rpeak_reason, record.unit)))
    rows.append(
        ("of ceiling", _share(record.efficiency.of_ceiling, record.ceiling, record.ceiling_reason, record.unit))
    )
    rows.append(("problem", _problem(record)))
    rows.append(("time", _times(record)))
    rows.append(("BLAS", _blas(record)))
    rows += energy.rows(record)
    rows += [("warning", warning) for warning in record.environment.warnings]
    if saved_to is not None:
        rows.append(("record", saved_to))
    return [line for label, text in rows for line in wrapped(label, text)]


def plan(lines: list[PlanLine]) -> list[str]:
    """Choices with their reasons, in lines of at most 80 columns."""
    return [text for line in lines for text in wrapped(line.choice, f"{line.value}: {line.reason}")]


def phases(record: Record) -> list[str]:
    """Where the best repeat's time went: per phase the largest and the mean time over the ranks, and the rank that took longest."""
    if not record.phases:
        return wrapped("phases", f"kernel {record.kernel} names none")
    whole = min(record.times_s)
    head = f"  {'phase':<11} {'max s':>9} {'mean s':>9} {'share':>7}  slowest rank"
    rows = [
        f"  {phase.name:<11} {phase.max_s:9.3f} {phase.mean_s:9.3f} {units.percent(phase.mean_s / whole):>7}  "
        f"{phase.slowest_rank} on {phase.slowest_host}"
        for phase in record.phases
    ]
    if record.device == "cpu":
        return [head, *rows]
    note = "The host's seconds: the GPU updates meanwhile; what the host waits for it is in panel, wait or solve."
    return [head, *rows, *textwrap.wrap(note, _WIDTH, initial_indent="  ", subsequent_indent="  ")]


def wrapped(label: str, text: str) -> list[str]:
    """`text` beside its label, in lines that fit 80 columns; a path stays whole on one line, to be copied."""
    if label == "record":
        return [f"  {label:<11} {text}"]
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"  {label:<11} ",
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _rmax(record: Record) -> str:
    if record.rmax_flops is None:
        return f"none: {record.verification.verdict}"
    return f"{units.rate(record.rmax_flops, record.unit)}  ({record.precision.upper()}, LU with partial pivoting)"


def _verdict(record: Record) -> str:
    found = record.verification
    text = f"{found.verdict}: {found.reason}"
    if found.verdict == "FAILED":
        text += "; " + ", ".join(f"{name} = {value}" for name, value in found.ingredients.items())
    return text


def _share(share: float | None, of: object, reason: str | None, unit: str) -> str:
    if of is None:
        return f"unknown: {(reason or '').removeprefix('Rpeak unknown: ')}"
    text = units.rate(of.flops, unit) + f" ({getattr(of, 'convention', None) or getattr(of, 'method', '')})"
    return f"{units.percent(share)} of {text}" if share is not None else f"no rate to hold against {text}"


def _problem(record: Record) -> str:
    problem = record.problem
    threads = f"{record.threads_per_rank} thread{'s' if record.threads_per_rank > 1 else ''}"
    ranks = f"one process, {threads}" if record.ranks == 1 else f"{problem.p} x {problem.q} ranks, {threads} each"
    return f"N = {problem.n}, NB = {problem.nb}, {ranks}, kernel {record.kernel}"


def _times(record: Record) -> str:
    best = units.duration(min(record.times_s))
    if record.spread is None:
        return f"{best}, one run"
    return (
        f"{best} best of {len(record.times_s)}, median {units.duration(record.spread.median_s)}, "
        f"range {units.percent(record.spread.relative_range)}"
    )


def _blas(record: Record) -> str:
    libraries = [
        f"{library.get('internal_api', 'unknown')} {library.get('version') or ''} "
        f"({library.get('architecture') or 'architecture unknown'}, {library.get('num_threads')} threads)"
        for library in record.environment.blas
        if library.get("user_api") == "blas"
    ]
    on_host = "; ".join(dict.fromkeys(libraries)) or "none that could be identified"
    said = record.environment.kernel
    library = said.get("blas") or said.get("call")
    return on_host if record.device == "cpu" or library is None else f"{library}; on the host: {on_host}"
