"""Tables with one system a row: the national form, TOP500 and Green500 lists, the report's own tables. Rows become entries."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

from flopbench.errors import UnknownName
from flopbench.inventory.exchange.columns import Heading
from flopbench.inventory.exchange.grid import Grid, Line
from flopbench.inventory.exchange.numbers import BLANKS, POWERS, RATES, Figure, count, figure, quantity
from flopbench.inventory.model import (
    Entry,
    MachineFacts,
    MeasurementFacts,
    OrganisationFacts,
    PeakFacts,
    key,
    sector,
)

UNNAMED = "not stated"
TOTAL = re.compile(r"^(sub|grand\s)?total$|^(小計|總計|合計|總和)$", re.I)
CORES = re.compile(r"\(?\s*(?P<count>\d[\d,]*)\s*(?:cores?|核心|核)\s*\)?", re.I)
_DEVICES = re.compile(r"(?P<count>\d[\d,]*)\s*[x×]\s*(?P<name>[A-Za-z].*)$", re.I)
ACCELERATED = re.compile(
    r"\b(gpus?|nvidia|tesla|radeon|instinct|xeon phi|v100|a100|h100|h200|gb200|mi[23]\d\d[ax]?)\b", re.I
)
#: Words of which an operating system's name has one; the national form's cell for it is sometimes filled with the use.
_OS = re.compile(
    r"linux|ubuntu|debian|cent\s?os|rocky|red\s?hat|rhel|suse|sles|fedora|windows|unix|aix|solaris|cos\b|cle\b|tosv?\b|hp-ux|mac\s?os|cnl|cnk"
    r"|作業系統",
    re.I,
)


@dataclass(frozen=True)
class Unreadable:
    """A row that could not be used, and why."""

    line: int
    label: str
    reason: str


def entries(grid: Grid, heading: Heading, edition: str | None) -> tuple[list[Entry], list[Unreadable]]:
    """All rows below the heading. Blank rows, and rows of dots, are passed over."""
    found: list[Entry] = []
    unreadable: list[Unreadable] = []
    names: Counter[tuple[str, str]] = Counter()
    for line in grid.lines[heading.first :]:
        if all(cell.casefold() in BLANKS for cell in line.cells):
            continue
        if TOTAL.match(next(cell for cell in line.cells if cell)):
            continue  # sums are no machine; a ranked row is one, even at a company called Total
        label = _label(line, heading)
        try:
            entry = _entry(repaired(line, heading), heading, edition)
        except ValueError as error:
            unreadable.append(Unreadable(line.number, label, str(error)))
            continue
        same = (key(entry.organisation.name), key(entry.machine.name))
        names[same] += 1
        if names[same] > 1:
            name = f"{entry.machine.name} #{names[same]}"
            note = f"the name stands in this file already: entered as {name!r}"
            entry = replace(entry, machine=replace(entry.machine, name=name), notes=(*entry.notes, note))
        found.append(entry)
    return found, unreadable


def repaired(line: Line, heading: Heading) -> Line:
    """The line with one cell a column. Raises ValueError if it cannot be had.

    Some published files split a field where a quotation mark stood in it: the part before it ends early, the part after it carries the
    stray mark. A stray mark followed by a comma swallowed the start of the next field, whose words were split as well,
    up to the next stray mark.
    """
    wanted = len(heading.columns)
    cells = list(line.cells)
    while len(cells) > wanted and not cells[-1]:
        cells.pop()
    if len(cells) < wanted:
        raise ValueError(f"has {len(cells)} cells, the heading has {wanted}; is the file cut off, or a quote missing?")
    if len(cells) == wanted:
        return Line(line.number, cells, line.notes)
    stray = [i for i, cell in enumerate(cells) if '"' in cell and i > 0]
    joined: list[tuple[int, int]] = []
    if stray:
        joined.append((stray[0] - 1, stray[0]))
        if cells[stray[0]].endswith(',"') and len(stray) > 1:
            joined.append((stray[0] + 1, stray[1]))
    if len(cells) - sum(last - first for first, last in joined) != wanted:
        raise ValueError(f"has {len(cells)} cells, the heading has {wanted}, and no split field explains it")
    said = []
    for first, last in reversed(joined):
        whole = re.sub(r'"|:,"$', "", " ".join(cells[first : last + 1]).replace('":,"', "")).strip()
        said.append(f"field split by a quotation mark, joined again: {whole!r}")
        cells[first : last + 1] = [whole]
    return Line(line.number, cells, [*line.notes, *reversed(said)])


class Row:
    """Cells by field, with the reading of numbers that names its column when it fails."""

    def __init__(self, line: Line, heading: Heading) -> None:
        self._cells = {c.field: cell for c, cell in zip(heading.columns, line.cells, strict=True) if c.field}
        self._columns = {c.field: c for c in heading.columns if c.field}

    def text(self, field: str) -> str | None:
        cell = self._cells.get(field, "")
        return None if cell.casefold() in BLANKS else cell

    def count(self, field: str, largest: int = 2**53) -> int | None:
        try:
            found = count(self._cells.get(field, ""))
            if found is not None and found > largest:
                raise ValueError(f"{found} is too large")
            return found
        except ValueError as error:
            raise ValueError(f"column {self._columns[field].heading!r}: {error}") from error

    def quantity(self, field: str, units: dict[str, float]) -> Figure | None:
        if field not in self._columns:
            return None
        try:
            found = quantity(self._cells[field], units, self._columns[field].factor)
        except ValueError as error:
            raise ValueError(f"column {self._columns[field].heading!r}: {error}") from error
        return found if found is None or found.value > 0 else None  # a 0 stands for "not known" in the lists

    def efficiency(self) -> Figure | None:
        """FLOP/s per watt, as published."""
        column = self._columns.get("energy_efficiency")
        if column is None:
            return None
        try:
            found = figure(self._cells["energy_efficiency"])
        except ValueError as error:
            raise ValueError(f"column {column.heading!r}: {error}") from error
        return found.scaled(column.factor or 1e9) if found is not None and found.value > 0 else None


def _entry(line: Line, heading: Heading, edition: str | None) -> Entry:
    row = Row(line, heading)
    notes = list(line.notes)
    name = row.text("machine") or row.text("model")
    if name is None:
        raise ValueError("names no machine")
    cpu, gpu = row.text("processor"), row.text("accelerator")
    cores, gpu_count = row.count("cores"), None
    if compute := row.text("compute"):
        cpu, gpu, more, gpu_count = _compute(compute, cpu, gpu)
        cores = more if cores is None else cores
    os, use = row.text("os"), row.text("use")
    if cell := row.text("system_cell"):
        if os is None and _OS.search(cell):
            os = cell
        elif use is None:
            use = cell
            notes.append(f"the cell for the operating system holds {cell!r}: read as the use")
    power = row.quantity("power", POWERS)
    rmax, rpeak = row.quantity("rmax", RATES), row.quantity("rpeak", RATES)
    fp32 = row.quantity("rpeak_fp32", RATES)
    efficiency = row.efficiency()
    peaks = [PeakFacts("fp64", rpeak.value)] if rpeak else []
    peaks += [PeakFacts("fp32", fp32.value)] if fp32 else []
    measurement = None
    if rmax:
        measurement = MeasurementFacts(
            standing="listed",
            routine="lu",
            precision="fp64",
            rmax_flops=rmax.value,
            rpeak_flops=rpeak.value if rpeak else None,
            n=row.count("nmax") or None,
            measured_on=edition or row.text("query_date"),
            power_w=power.value if power else None,
            flops_per_watt=efficiency.value if efficiency else None,
        )
    elif row.text("rmax"):
        notes.append("Rmax is 0: read as not known")
    return Entry(
        line=line.number,
        label=_label(line, heading),
        organisation=OrganisationFacts(row.text("organisation") or UNNAMED, _sector(row, notes), row.text("tier")),
        machine=MachineFacts(
            name=name,
            model=row.text("model") or row.text("system_model"),
            cpu=cpu,
            gpu=gpu,
            gpu_count=gpu_count,
            cores=cores or None,
            accelerator_cores=row.count("accelerator_cores") or None,
            nodes=row.count("nodes") or None,
            cores_per_node=row.count("cores_per_node") or None,
            interconnect=row.text("interconnect"),
            os=os,
            use=use,
            site_power_w=power.value if power else None,
            status=_status(row),
            year=row.count("year", 9999) or None,
            country=row.text("country"),
        ),
        peaks=tuple(peaks),
        measurement=measurement,
        cells={"cells": line.cells},
        notes=tuple(notes),
        remarks=row.text("remarks"),
        source=row.text("source"),
    )


def _compute(cell: str, cpu: str | None, gpu: str | None) -> tuple[str | None, str | None, int | None, int | None]:
    """CPU, GPU, cores and number of GPUs from one cell: "A64FX 48C 2.2GHz(184,320 core)", "8x NVIDIA Tesla V100"."""
    cores = None
    if found := CORES.search(cell):
        cores = count(found["count"])
        cell = (cell[: found.start()] + cell[found.end() :]).strip(" ,;")
    devices = _DEVICES.search(cell)
    if ACCELERATED.search(cell):
        return cpu, gpu or cell, cores, count(devices["count"]) if devices else None
    return cpu or cell or None, gpu, cores, None


def _sector(row: Row, notes: list[str]) -> str | None:
    text = row.text("sector")
    if text is None:
        return None
    try:
        return sector(text)
    except UnknownName:
        notes.append(f"the sector {text!r} is not known: left blank")
        return None


def _status(row: Row) -> str | None:
    text = row.text("status")
    if text is None:
        return None
    words = {"planned": "planned", "規劃中": "planned", "建置中": "planned", "running": "running", "運轉中": "running"}
    words |= {"retired": "retired", "已除役": "retired"}
    if key(text) not in words:
        raise ValueError(f"status {text[:30]!r} is not known; allowed: planned, running, retired")
    return words[key(text)]


def _label(line: Line, heading: Heading) -> str:
    """How people would call the row: its rank and name."""

    def text(*fields: str) -> str:
        found = [heading.index(field) for field in fields]
        return next((line.cells[i] for i in found if i is not None and i < len(line.cells) and line.cells[i]), "")

    prefix = "Green500 rank" if heading.index("green_rank") is not None else "rank"
    rank, name = text("green_rank", "rank"), text("machine", "model", "organisation")
    return ", ".join(filter(None, [f"{prefix} {rank}" if rank else "", name]))[:100] or f"line {line.number}"
