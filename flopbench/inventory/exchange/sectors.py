"""Tables of sums: one sector a row, with its FP64 and FP32 rates, their shares in percent, and a total (table 3.1 of the report)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flopbench.inventory.exchange.columns import Heading
from flopbench.inventory.exchange.grid import Grid, Line
from flopbench.inventory.exchange.numbers import BLANKS, Figure, figure
from flopbench.inventory.exchange.systems import TOTAL, Unreadable

_WITH_SHARE = re.compile(r"^(?P<value>[^(（]*)[(（]\s*(?P<share>[\d.,]+)\s*[%％]\s*[)）]$")
COLUMNS = (("fp64_total", "fp64_share"), ("fp32_total", "fp32_share"))


@dataclass(frozen=True)
class SectorRow:
    """One printed row: figures as printed (TFLOPS, percent), so that a finding can show them."""

    line: int
    label: str
    is_total: bool
    counted: Figure | None
    totals: dict[str, Figure | None]
    shares: dict[str, Figure | None]


def rows(grid: Grid, heading: Heading) -> tuple[list[SectorRow], list[Unreadable]]:
    """All rows below the heading."""
    found, unreadable = [], []
    for line in grid.lines[heading.first :]:
        if all(cell.casefold() in BLANKS for cell in line.cells):
            continue
        cells = line.cells + [""] * (len(heading.columns) - len(line.cells))
        try:
            if len(cells) > len(heading.columns) and any(cells[len(heading.columns) :]):
                raise ValueError(f"has {len(cells)} cells, the heading has {len(heading.columns)}")
            found.append(row(line.number, cells, heading))
        except ValueError as error:
            unreadable.append(Unreadable(line.number, cells[0] or f"line {line.number}", str(error)))
    return found, unreadable


def row(number: int, cells: list[str], heading: Heading) -> SectorRow:
    """One row of cells. Raises ValueError, naming the column."""
    at = {field: heading.index(field) for pair in COLUMNS for field in (*pair, "sector", "sites_counted")}

    def cell(field: str) -> str:
        index = at[field]
        return cells[index] if index is not None else ""

    totals: dict[str, Figure | None] = {}
    shares: dict[str, Figure | None] = {}
    for total, share in COLUMNS:
        text, percent = cell(total), cell(share)
        if found := _WITH_SHARE.match(text):
            text, percent = found["value"].strip(), found["share"]
        totals[total] = _figure(text, total, heading)
        shares[share] = _figure(percent.rstrip("%％ "), share, heading)
    label = cell("sector")
    if not label:
        raise ValueError("names no sector")
    return SectorRow(
        number,
        label,
        bool(TOTAL.match(label.strip())),
        _figure(cell("sites_counted"), "sites_counted", heading),
        totals,
        shares,
    )


def _figure(text: str, field: str, heading: Heading) -> Figure | None:
    try:
        found = figure(text)
    except ValueError as error:
        index = heading.index(field)
        name = heading.columns[index].heading if index is not None else field
        raise ValueError(f"column {name!r}: {error}") from error
    if found is not None and found.unit:
        raise ValueError(f"{text[:40]!r} has {found.unit[:20]!r} behind its number")
    return found


def as_lines(grid: Grid, found: list[SectorRow]) -> list[tuple[Line, SectorRow]]:
    """Each row with the line it was read from."""
    by_number = {line.number: line for line in grid.lines}
    return [(by_number[r.line], r) for r in found]
