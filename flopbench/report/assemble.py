"""From records to a Report: machines apart, results first, what they rest on after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from flopbench import results
from flopbench.energy.join import joins
from flopbench.errors import BadInput
from flopbench.report import facts, meters, rates
from flopbench.report.content import Bars, Lines, Report, Section
from flopbench.results import Record
from flopbench.units import percent, rate


def read_records(paths: Iterable[Path]) -> list[Record]:
    """The records in these files, and in the *.json files of these folders, each run once. Raises BadInput.

    A record that external meters were joined to takes the place of the one that it came from.
    """
    files: dict[Path, None] = {}
    for path in paths:
        inside = results.record_files(path) if path.is_dir() else [path]
        if not inside:
            raise BadInput(f"no record in folder {path}: a record is a .json file that flopbench wrote")
        files.update(dict.fromkeys(inside))
    records = {record.run_id: record for record in sorted(map(results.read, files), key=joins)}
    return sorted(records.values(), key=lambda record: record.time_start_utc)


def assemble(records: Sequence[Record]) -> Report:
    """The report on `records`, at least one."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(facts.machine_name(record.machine), []).append(record)
    background = [
        Section(section.heading if len(groups) == 1 else f"{section.heading}: {name}", tables=section.tables)
        for name, group in groups.items()
        for section in facts.background(group)
    ]
    return Report(
        title=f"flopbench: {next(iter(groups))}" if len(groups) == 1 else f"flopbench: {len(groups)} machines",
        summary=tuple(
            line for name, group in groups.items() for line in _summary(group, name if len(groups) > 1 else "")
        ),
        results=tuple(_results(name, group) for name, group in groups.items()),
        background=tuple(background),
    )


def charts(records: Sequence[Record]) -> tuple[Bars | Lines, ...]:
    """Bars of the best rates and rate over size, of GEMM and LU, as far as there is something to draw."""
    gemm, lu = _split(records)
    found = [
        rates.best_bars(gemm),
        rates.lines_over_size(gemm, "GEMM: rate over size", "n (square matrices)"),
        rates.lines_over_size(lu, "LU: rate over size", "N"),
    ]
    return tuple(chart for chart in found if chart is not None)


def _split(records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    return [r for r in records if r.routine == "gemm"], [r for r in records if r.routine != "gemm"]


def _results(name: str, records: Sequence[Record]) -> Section:
    gemm, lu = _split(records)
    tables = [rates.lu_table(lu)] if lu else []
    tables += [rates.gemm_table(gemm)] if gemm else []
    tables += [seen for seen in (meters.meter_table(gemm),) if seen]
    return Section(name, tables=tuple(tables), charts=charts(records))


def _summary(records: Sequence[Record], name: str) -> list[str]:
    """One line for the best LU and one for the best product of each precision."""
    gemm, lu = _split(records)
    lead = f"{name}: " if name else ""
    lines = []
    verified = [record for record in lu if record.rmax_flops]
    if verified:
        best = max(verified, key=lambda record: record.rmax_flops or 0.0)
        size = f"LU at N = {best.problem.n}, {best.kernel}"
        lines.append(f"{lead}Rmax {rate(best.rmax_flops or 0.0)} {best.precision.upper()} ({size}){_share(best)}")
    best_of: dict[str, Record] = {}
    for record in sorted(gemm, key=rates.gemm_order):
        known = best_of.get(record.precision)
        if record.rmax_flops and (known is None or record.rmax_flops > (known.rmax_flops or 0.0)):
            best_of[record.precision] = record
    for precision, record in best_of.items():
        gain = rates.speed_up(record, gemm)
        against = f", {gain:.3g} x FP64" if gain and precision != "fp64" else ""
        how = f"GEMM at {rates.size_of(record)}, {record.backend}{against}"
        lines.append(f"{lead}{precision.upper()} {rate(record.rmax_flops or 0.0, record.unit)} ({how}){_share(record)}")
    bad = [record for record in records if record.verification.verdict != "PASSED"]
    if bad:
        lines.append(f"{lead}{len(bad)} of {len(records)} runs did not pass; the reasons stand below the tables")
    return lines


def _share(record: Record) -> str:
    parts = [
        f"{percent(share)} of {what}"
        for share, what in ((record.efficiency.of_ceiling, "ceiling"), (record.efficiency.of_rpeak, "Rpeak"))
        if share is not None
    ]
    return f": {', '.join(parts)}" if parts else ""
