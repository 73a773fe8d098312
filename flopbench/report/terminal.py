"""A Report on a terminal, in 80 columns where its words allow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flopbench.report.content import Report, Table

if TYPE_CHECKING:
    from rich.console import Console

_VERDICT_STYLE = {"PASSED": "green", "FAILED": "bold red", "SKIPPED": "yellow", "UNCHECKED": "yellow"}
_ROOMY = 5  # columns, up to which there is room for wide gaps
_IN_SHORT = ("Machine", "What the rates are held against")  # the rest of the background is for Markdown and HTML


def print_report(report: Report, console: Console) -> None:
    """Summary, results, and the background that fits a terminal."""
    for section in report.results:
        console.print(section.heading, style="bold", markup=False, highlight=False)
        for table in section.tables:
            print_table(table, console)
    for section in report.background:
        for table in section.tables:
            if table.title in _IN_SHORT:
                print_table(table, console)
    for line in report.summary:
        console.print(line, markup=False, highlight=False, soft_wrap=False)


def print_table(table: Table, console: Console) -> None:
    """One table with its notes; text from records is never read as markup."""
    from rich import box
    from rich.padding import Padding
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        title=Text(table.title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1 if len(table.columns) <= _ROOMY else 0),
    )
    for column in table.columns:
        shown.add_column(Text(column.heading), justify="right" if column.numeric else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(cell, style=_VERDICT_STYLE.get(cell, "")) for cell in row))
    console.print(shown)
    for note in table.notes:
        console.print(Padding(Text(note), (0, 0, 0, 2), expand=False))
    if table.notes:
        console.print()
