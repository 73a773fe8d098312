"""Two ways to tell the results of `flopbench gemm`: a table for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from flopbench.gemm_run import Skipped
from flopbench.report import write
from flopbench.report.rates import gemm_table, size_of
from flopbench.results import Record, to_document
from flopbench.units import rate


class _Output:
    """Collects; writes the page and the picture that were asked for at the end."""

    quiet = False

    def __init__(self, html_file: Path | None = None, plot_file: Path | None = None) -> None:
        self._html_file, self._plot_file = html_file, plot_file
        self._records: list[Record] = []
        self._skipped: list[Skipped] = []

    def result(self, record: Record, saved_to: Path | None) -> None:
        self._records.append(record)

    def skipped(self, what: Skipped) -> None:
        self._skipped.append(what)

    def complain(self, line: str) -> None:
        print(f"flopbench: {line}", file=sys.stderr, flush=True)

    def end(self) -> None:
        if any(record.rmax_flops for record in self._records):
            for path in write.files(self._records, self._html_file, self._plot_file):
                print(f"wrote {path}", file=sys.stderr, flush=True)


class Table(_Output):
    """A line on stderr for each result as it comes, and the table of all at the end."""

    def result(self, record: Record, saved_to: Path | None) -> None:
        super().result(record, saved_to)
        found = "no rate" if record.rmax_flops is None else rate(record.rmax_flops, record.unit)
        where = f"  {saved_to}" if saved_to else ""
        line = f"{record.kernel} n = {size_of(record)}: {found}, {record.verification.verdict}{where}"
        print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        from rich.console import Console

        from flopbench.report.meters import meter_table
        from flopbench.report.terminal import print_table

        rows = [(s.precision, s.backend, s.n or "-", s.accumulator, s.reason) for s in self._skipped]
        table = gemm_table(self._records, rows)
        console = Console()
        print_table(table, console)
        seen = meter_table(self._records, best_only=True)
        if seen:
            print_table(seen, console)
        for text in _warnings(self._records):
            console.print(f"warning: {text}", markup=False, highlight=False)
        super().end()


class Json(_Output):
    """One document at the end, on stdout alone."""

    quiet = True

    def end(self) -> None:
        skipped = [
            {"precision": s.precision, "backend": s.backend, "kernel": s.kernel, "n": s.n, "reason": s.reason}
            for s in self._skipped
        ]
        records = [to_document(record) for record in self._records]
        print(json.dumps({"results": records, "skipped": skipped}, indent=1), flush=True)
        super().end()


def _warnings(records: list[Record]) -> list[str]:
    """What all runs were warned of, in words, and how many runs have warnings of their own."""
    shared = set.intersection(*(set(record.environment.warnings) for record in records)) if records else set()
    lines = [
        text
        for text in dict.fromkeys(text for record in records for text in record.environment.warnings)
        if text in shared
    ]
    own = sum(1 for record in records if set(record.environment.warnings) - shared)
    if own:
        lines.append(
            f"{own} of {len(records)} runs have warnings of their own (noise, steal), in their records and in `report --html`"
        )
    return lines
