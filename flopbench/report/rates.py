"""Tables and charts of rates, from records: GEMM by precision, backend and size; LU by N."""

from __future__ import annotations

from collections.abc import Sequence

from flopbench.precision import PRECISIONS
from flopbench.report import energy
from flopbench.report.content import Bar, Bars, Column, Line, Lines, Table
from flopbench.results import Record
from flopbench.units import duration, percent, rate

_SHORT = {"float64": "fp64", "float32": "fp32", "float16": "fp16"}
_ORDER = {name: place for place, name in enumerate(PRECISIONS)}

GEMM_COLUMNS = (
    Column("Precision"),
    Column("Backend"),
    Column("Size", True),
    Column("Rate", True),
    Column("of ceiling", True),
    Column("of Rpeak", True),
    Column("x FP64", True),
    Column("Sums"),
    Column("Verdict"),
)
LU_COLUMNS = (
    Column("Backend"),
    Column("N", True),
    Column("NB", True),
    Column("PxQ", True),
    Column("Time", True),
    Column("Rmax", True),
    Column("of ceiling", True),
    Column("of Rpeak", True),
    Column("Residual", True),
    Column("Verdict"),
)


def size_of(record: Record) -> str:
    """ "4096" for a square product or an LU, "m x n x k" otherwise."""
    problem = record.problem
    if problem.m is None or problem.m == problem.n == problem.k:
        return str(problem.n)
    return f"{problem.m}x{problem.n}x{problem.k}"


def accumulator_of(record: Record) -> str:
    """In what the sums were kept, in the words of the precisions."""
    return _SHORT.get(record.accumulator, record.accumulator)


def way_of(record: Record) -> str:
    """How a product was made: precision and backend, and the accumulator where it is not the precision's usual one."""
    usual = PRECISIONS[record.precision].accumulator if record.precision in PRECISIONS else record.accumulator
    note = f" ({accumulator_of(record)} sums)" if record.accumulator != usual else ""
    return f"{record.precision} {record.backend}{note}"


def gemm_order(record: Record) -> tuple[int, str, str, int]:
    """Precisions as the table of precisions has them, then backend, accumulator and size."""
    return _ORDER.get(record.precision, len(_ORDER)), record.backend, record.accumulator, record.problem.n


def speed_up(record: Record, records: Sequence[Record]) -> float | None:
    """The rate over the best verified FP64 rate of the same device and size among `records`; None without one."""
    base = [
        other.rmax_flops
        for other in records
        if other.routine == "gemm" and other.precision == "fp64" and other.rmax_flops
        if other.device == record.device and _dimensions(other) == _dimensions(record)
    ]
    return record.rmax_flops / max(base) if base and record.rmax_flops else None


def gemm_table(records: Sequence[Record], skipped: Sequence[tuple[str, str, str, str, str]] = ()) -> Table:
    """One row a record. `skipped` are (precision, backend, size, sums, reason) that could not run; they are rows too."""
    rows = [_gemm_row(record, records) for record in sorted(records, key=gemm_order)]
    more = energy.columns(records)
    dashes = ("-",) * len(more)
    rows += [(*what[:3], *"----", *dashes, _SHORT.get(what[3], what[3]), "SKIPPED") for what in skipped]
    notes = [*reasons(records), *_why_skipped(skipped), *energy.notes(records)]
    return Table("GEMM", (*GEMM_COLUMNS[:-2], *more, *GEMM_COLUMNS[-2:]), tuple(rows), tuple(notes))


def _why_skipped(skipped: Sequence[tuple[str, str, str, str, str]]) -> list[str]:
    """One line a reason, with all that it holds for."""
    by_reason: dict[str, list[str]] = {}
    for precision, backend, size, sums, reason in skipped:
        name = precision if backend == "-" else f"{precision} {backend}"
        if precision in PRECISIONS and sums not in ("-", PRECISIONS[precision].accumulator):
            name += f" ({_SHORT.get(sums, sums)} sums)"
        by_reason.setdefault(reason, []).append(name if size == "-" else f"{name} n = {size}")
    return [f"{', '.join(names)}: SKIPPED: {reason}" for reason, names in by_reason.items()]


def lu_table(records: Sequence[Record]) -> Table:
    """One row a record, in order of N."""
    rows = [
        _lu_row(record, records) for record in sorted(records, key=lambda r: (r.kernel, r.problem.n, r.problem.nb or 0))
    ]
    columns = (*LU_COLUMNS[:-2], *energy.columns(records), *LU_COLUMNS[-2:])
    return Table("LU (HPL)", columns, tuple(rows), (*reasons(records), *energy.notes(records)))


def reasons(records: Sequence[Record]) -> list[str]:
    """Why a verdict is not PASSED, and what is odd about a rate; each once."""
    lines = []
    for record in records:
        name = f"{record.kernel} {'N' if record.routine == 'lu' else 'n'} = {size_of(record)}"
        if record.verification.verdict != "PASSED":
            lines.append(f"{name}: {record.verification.verdict}: {record.verification.reason}")
        if record.foreign:
            lines.append(f"{name}: not a run of flopbench; read from {record.foreign}")
        for share, what in ((record.efficiency.of_rpeak, "Rpeak"), (record.efficiency.of_ceiling, "ceiling")):
            if share is not None and share > 1.0:
                lines.append(f"{name}: {percent(share)} of {what}: above what it is held against, see the warnings")
    return list(dict.fromkeys(lines))


def best_bars(records: Sequence[Record]) -> Bars | None:
    """The best verified rate of each way to multiply."""
    best: dict[str, Record] = {}
    for record in sorted(records, key=gemm_order):
        known = best.get(way_of(record))
        if record.rmax_flops and (known is None or record.rmax_flops > (known.rmax_flops or 0)):
            best[way_of(record)] = record
    bars = tuple(
        Bar(way, r.rmax_flops or 0.0, r.unit, r.ceiling.flops if r.ceiling else None, _colour(r))
        for way, r in best.items()
    )
    return Bars("Best verified rate", bars) if bars else None


def lines_over_size(records: Sequence[Record], title: str, x_label: str) -> Lines | None:
    """Best verified rate over n, one line a way or kernel; None unless a line has two points. Only square products."""
    series: dict[str, dict[int, float]] = {}
    first: dict[str, Record] = {}
    for record in sorted(records, key=gemm_order):
        if record.rmax_flops is None or not size_of(record).isdigit():
            continue
        label = way_of(record) if record.routine == "gemm" else record.kernel
        first.setdefault(label, record)
        points = series.setdefault(label, {})
        points[record.problem.n] = max(record.rmax_flops, points.get(record.problem.n, 0.0))
    if not any(len(points) > 1 for points in series.values()):
        return None
    patterns = {kind: place for place, kind in enumerate(sorted({_kind(record) for record in first.values()}))}
    lines = tuple(
        Line(label, tuple(sorted((float(n), v) for n, v in points.items())), _colour(record), patterns[_kind(record)])
        for (label, points), record in zip(series.items(), first.values(), strict=True)
    )
    return Lines(title, x_label, lines)


def _kind(record: Record) -> str:
    """What tells two ways in one precision apart: the backend, and sums in an unusual type."""
    return way_of(record).partition(" ")[2]


def _colour(record: Record) -> int:
    """One colour a precision."""
    return gemm_order(record)[0]


def _dimensions(record: Record) -> tuple[int | None, int, int | None]:
    return record.problem.m, record.problem.n, record.problem.k


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def _gemm_row(record: Record, records: Sequence[Record]) -> tuple[str, ...]:
    gain = speed_up(record, records)
    return (
        record.precision,
        record.backend,
        size_of(record),
        "-" if record.rmax_flops is None else rate(record.rmax_flops, record.unit),
        _share(record.efficiency.of_ceiling),
        _share(record.efficiency.of_rpeak),
        "-" if gain is None else f"{gain:.3g}" if gain < 1000 else f"{gain:.0f}",
        *energy.cells(record, records),
        accumulator_of(record),
        record.verification.verdict,
    )


def _lu_row(record: Record, records: Sequence[Record]) -> tuple[str, ...]:
    problem, value = record.problem, record.verification.value
    return (
        record.backend,
        str(problem.n),
        "-" if problem.nb is None else str(problem.nb),
        f"{problem.p}x{problem.q}" if problem.p and problem.q else "-",
        duration(min(record.times_s)) if record.times_s else "-",
        "-" if record.rmax_flops is None else rate(record.rmax_flops, record.unit),
        _share(record.efficiency.of_ceiling),
        _share(record.efficiency.of_rpeak),
        *energy.cells(record, records),
        "-" if value is None else f"{value:.1e}",
        record.verification.verdict,
    )
