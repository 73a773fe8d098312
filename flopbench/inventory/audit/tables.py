"""The imported files, read back cell by cell, with every figure's printed step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from flopbench.inventory import schema
from flopbench.inventory.audit.finding import Cell
from flopbench.inventory.exchange.columns import Column, Heading
from flopbench.inventory.exchange.grid import Line
from flopbench.inventory.exchange.numbers import POWERS, RATES, Figure
from flopbench.inventory.exchange.systems import Row


@dataclass(frozen=True)
class Table:
    """One imported file. `machines` gives the machine that a row was entered as, by line."""

    title: str
    form: str
    edition: str | None
    heading: Heading
    lines: list[Line]
    labels: dict[int, str]
    machines: dict[int, int | None]

    def cell(self, line: Line, field: str) -> Cell:
        index = self.heading.index(field)
        assert index is not None
        return Cell(self.title, self.labels[line.number], self.heading.columns[index].heading, line.cells[index])


@dataclass(frozen=True)
class System:
    """One row of a table of systems. Figures in SI, their steps that of the column: tables drop trailing zeros."""

    table: Table
    line: Line
    row: Row
    figures: dict[str, Figure]
    cores: int | None
    rank: int | None
    green_rank: int | None

    def cell(self, field: str) -> Cell:
        return self.table.cell(self.line, field)

    @property
    def label(self) -> str:
        return self.table.labels[self.line.number]


def tables(connection: Connection, form: str | None = None) -> list[Table]:
    """All imported files (of one form), in the order in which they came."""
    found = []
    query = select(schema.documents).order_by(schema.documents.c.id)
    if form is not None:
        query = query.where(schema.documents.c.form == form)
    for document in connection.execute(query).all():
        rows = schema.document_rows
        lines, labels, machines = [], {}, {}
        for row in connection.execute(select(rows).where(rows.c.document_id == document.id).order_by(rows.c.line)):
            lines.append(Line(row.line, json.loads(row.cells), json.loads(row.notes)))
            labels[row.line] = row.label
            machines[row.line] = row.machine_id
        columns = tuple(Column(**column) for column in json.loads(document.columns))
        heading = Heading(columns, 0, ())
        found.append(Table(document.title, document.form, document.edition, heading, lines, labels, machines))
    return found


def systems(table: Table) -> list[System]:
    """The rows of a table of systems."""
    read = [_system(table, line) for line in table.lines]
    steps: dict[str, float] = {}
    for system in read:
        for field, figure in system.figures.items():
            steps[field] = min(steps.get(field, figure.step), figure.step)
    return [
        replace(s, figures={field: Figure(f.value, steps[field], f.unit) for field, f in s.figures.items()})
        for s in read
    ]


def _system(table: Table, line: Line) -> System:
    row = Row(line, table.heading)
    figures = {field: figure for field, figure in _figures(row) if figure is not None}
    cores = row.count("cores")
    return System(table, line, row, figures, cores, row.count("rank"), row.count("green_rank"))


def _figures(row: Row) -> Iterator[tuple[str, Figure | None]]:
    yield "rmax", row.quantity("rmax", RATES)
    yield "rpeak", row.quantity("rpeak", RATES)
    yield "power", row.quantity("power", POWERS)
    yield "energy_efficiency", row.efficiency()
