"""Find the heading of a table, over one row or two, and what each of its columns means."""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from flopbench.errors import BadInput
from flopbench.inventory.exchange.grid import Grid
from flopbench.inventory.exchange.numbers import POWERS, RATES, unit_factor

#: Fields whose heading names a unit, and the units it may be.
_UNITS = {
    "rmax": RATES,
    "rpeak": RATES,
    "rpeak_fp32": RATES,
    "fp64_total": RATES,
    "fp32_total": RATES,
    "power": POWERS,
    "energy_efficiency": RATES,
}
#: Lists that give no unit use these: GFlop/s up to 2016 (a unit stands in the heading since), kW throughout.
_SILENT = {"rmax": 1e9, "rpeak": 1e9, "rpeak_fp32": 1e9, "power": 1e3}
_SEARCHED_LINES = 20


@dataclass(frozen=True)
class Column:
    """One column: its heading as it stands, the field it fills (None: kept, but not understood), and the factor of its unit to SI."""

    heading: str
    field: str | None
    factor: float | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Heading:
    """The columns, and the first line of data (index into the grid's lines)."""

    columns: tuple[Column, ...]
    first: int
    notes: tuple[str, ...]

    def index(self, field: str) -> int | None:
        return next((i for i, column in enumerate(self.columns) if column.field == field), None)

    @property
    def fields(self) -> set[str]:
        return {column.field for column in self.columns if column.field}


@functools.cache
def fields_by_heading() -> dict[str, str]:
    text = resources.files("flopbench.inventory").joinpath("data/columns.toml").read_text(encoding="utf-8")
    table: dict[str, str] = {}
    for field, headings in tomllib.loads(text).items():
        for heading in headings:
            if table.setdefault(_plain(heading), field) != field:
                raise BadInput(f"columns.toml: the heading {heading!r} stands for two fields")
    return table


def find_heading(grid: Grid) -> Heading:
    """The heading among the first lines: where the most cells are known, in one row or two. Raises BadInput."""
    best: tuple[int, Heading] | None = None
    for index in range(min(_SEARCHED_LINES, len(grid.lines))):
        upper = grid.lines[index].cells
        candidates = [(upper, index + 1)]
        if index + 1 < len(grid.lines):
            candidates.append((_joined(upper, grid.lines[index + 1].cells), index + 2))
        for cells, first in candidates:
            heading = _heading(cells, first)
            known = len(heading.fields)
            if known >= 2 and (best is None or known > best[0]):
                best = (known, heading)
    if best is None:
        shown = ", ".join(c for c in grid.lines[0].cells[:6] if c) or "blank cells"
        raise BadInput(
            f"{grid.name}: no heading of a known form in the first {_SEARCHED_LINES} lines (the first has: {shown[:120]}); "
            "allowed: the national form, a TOP500 or Green500 list, a sector table"
        )
    return best[1]


def _joined(upper: list[str], lower: list[str]) -> list[str]:
    """A heading over two rows: the lower cell where there is one (the upper is its group's title), else the upper."""
    width = max(len(upper), len(lower))
    pad = lambda cells: cells + [""] * (width - len(cells))  # noqa: E731
    return [low or high for high, low in zip(pad(upper), pad(lower), strict=True)]


def _heading(cells: list[str], first: int) -> Heading:
    known = fields_by_heading()
    columns: list[Column] = []
    taken: set[str] = set()
    notes: list[str] = []
    plains = [_plain(cell) for cell in cells]
    for cell, plain in zip(cells, plains, strict=True):
        field = known.get(plain)
        if field == "rank" and plain == "rank" and "top500rank" in plains:
            field = "green_rank"  # a Green500 file: its own rank first, then the system's rank in the TOP500
        if field is None or field in taken:
            columns.append(Column(cell, None))
            continue
        taken.add(field)
        factor = None
        if field in _UNITS:
            factor = unit_factor(cell, _UNITS[field])
            if factor is None and field in _SILENT:
                factor = _SILENT[field]
                unit = "kW" if field == "power" else "GFlop/s"
                notes.append(f"column {cell!r} names no unit: read as {unit}, as the lists of its time are")
        columns.append(Column(cell, field, factor))
    return Heading(tuple(columns), first, tuple(notes))


def _plain(heading: str) -> str:
    """The heading without bracketed parts (unless nothing else is left), spaces and punctuation, in one case."""
    text = unicodedata.normalize("NFKC", heading).casefold()
    outside = re.sub(r"\([^)]*\)|\[[^\]]*\]", " ", text)
    kept = re.sub(r"[\W_]+", "", outside) or re.sub(r"[\W_]+", "", text)
    return kept
