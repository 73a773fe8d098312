"""A Report as GitHub-flavoured Markdown: readable as it is, and rendered."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flopbench.report.content import Report, Table

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def to_markdown(report: Report) -> str:
    """The report as text that ends in a newline."""
    lines = [f"# {escape(report.title)}", ""]
    lines += [f"- {escape(line)}" for line in report.summary] + [""]
    for section in report.results:
        lines += [f"## {escape(section.heading)}", ""]
        for table in section.tables:
            lines += [f"### {escape(table.title)}", "", *table_lines(table), ""]
    for section in report.background:
        lines += [f"## {escape(section.heading)}", ""]
        for table in section.tables:
            lines += [*table_lines(table), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def table_lines(table: Table) -> list[str]:
    """A table and its notes, one line each."""
    lines = [
        _row(column.heading for column in table.columns),
        _row(("---:" if column.numeric else "---" for column in table.columns), literal=True),
        *(_row(row) for row in table.rows),
    ]
    if table.notes:
        lines += ["", *(f"- {escape(note)}" for note in table.notes)]
    return lines


def escape(text: str) -> str:
    """`text` so that Markdown shows it as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _row(cells: Iterable[str], literal: bool = False) -> str:
    return "| " + " | ".join(cell if literal else escape(cell) for cell in cells) + " |"
