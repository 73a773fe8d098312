"""Import a file: read it whole, then enter all of it in one transaction, or (with `keep_going`) all of it that can be read."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from flopbench.errors import BadInput
from flopbench.inventory.entries import Entering, enter_document
from flopbench.inventory.exchange import sectors, systems, top500_xml
from flopbench.inventory.exchange.columns import Heading, find_heading
from flopbench.inventory.exchange.grid import Grid, read_bytes, read_grid
from flopbench.inventory.exchange.systems import Unreadable
from flopbench.inventory.model import Entry, Provenance
from flopbench.inventory.store import Inventory

FORMS = ("national", "top500", "green500", "sectors")


@dataclass(frozen=True)
class Import:
    """A file as read: its form, heading, rows, and everything that had to be said about it."""

    path: Path
    sha256: str
    form: str
    edition: str | None
    grid: Grid
    heading: Heading
    entries: list[Entry]
    sectors: list[sectors.SectorRow]
    unreadable: list[Unreadable]

    @property
    def notes(self) -> list[str]:
        """What was repaired: first what concerns the whole file, then row by row."""
        said = [*self.grid.notes, *self.heading.notes]
        said += [f"line {e.line} ({e.label}): {note}" for e in self.entries for note in e.notes]
        return said


@dataclass(frozen=True)
class Imported:
    """What an import did: rows entered, or nothing because the same file had been imported."""

    document_id: int
    new: bool
    rows: int


def read(path: Path, form: str | None = None, edition: str | None = None) -> Import:
    """Read the file at `path` without an inventory. Raises BadInput if no row can be had from it."""
    raw = read_bytes(path)
    grid = top500_xml.read_grid(path, raw) if top500_xml.is_xml(raw) else read_grid(path, raw)
    heading = find_heading(grid)
    found = form_of(heading)
    if form is not None and form != found:
        raise BadInput(f"{path} has the heading of the form {found!r}, not {form!r}")
    edition = edition or _edition(path)
    entries: list[Entry] = []
    rows: list[sectors.SectorRow] = []
    if found == "sectors":
        rows, unreadable = sectors.rows(grid, heading)
    else:
        entries, unreadable = systems.entries(grid, heading, edition)
    if not entries and not rows and not unreadable:
        raise BadInput(f"{path} has a heading but no rows below it")
    digest = hashlib.sha256(raw).hexdigest()
    return Import(path, digest, found, edition, grid, heading, entries, rows, unreadable)


def form_of(heading: Heading) -> str:
    """Which form has this heading. Raises BadInput."""
    fields = heading.fields
    if "fp64_total" in fields and "sector" in fields:
        return "sectors"
    if "green_rank" in fields:
        return "green500"
    if "rank" in fields and "rmax" in fields:
        return "top500"
    if fields & {"machine", "model"} and fields & {"rmax", "rpeak", "compute", "cores"}:
        return "national"
    raise BadInput(
        f"the columns {', '.join(sorted(fields))} are no known form; needed: a machine and Rmax, Rpeak or cores, "
        "or a sector and FP64 TFLOPS"
    )


def enter(
    inventory: Inventory,
    read_file: Import,
    source: str,
    now: datetime,
    query_date: str | None = None,
    title: str | None = None,
    keep_going: bool = False,
) -> Imported:
    """Enter a file that was read. Raises BadInput, before anything is entered, if rows are unreadable and not `keep_going`."""
    if read_file.unreadable and not keep_going:
        first = read_file.unreadable[0]
        more = f", and {len(read_file.unreadable) - 1} more" if len(read_file.unreadable) > 1 else ""
        raise BadInput(
            f"{read_file.path}, line {first.line} ({first.label}): {first.reason}{more}; nothing was imported, "
            "--keep-going imports the other rows"
        )
    inventory.check_schema()
    stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    with inventory.writing() as connection:
        document = {
            "sha256": read_file.sha256,
            "form": read_file.form,
            "title": title or read_file.path.name,
            "edition": read_file.edition,
            "columns": json.dumps([c.as_json() for c in read_file.heading.columns], ensure_ascii=False),
            "source": source,
            "query_date": query_date,
            "entered_utc": stamp,
        }
        identity, new = enter_document(connection, document)
        if not new:
            return Imported(identity, False, 0)
        return Imported(identity, True, _enter_rows(connection, read_file, identity, source, query_date, stamp))


def _enter_rows(
    connection: Connection, read_file: Import, document_id: int, source: str, query_date: str | None, stamp: str
) -> int:
    common = Provenance(source, query_date or read_file.edition)
    rows = []
    for entry in read_file.entries:
        provenance = replace(common, source=entry.source or source, remarks=entry.remarks)
        entering = Entering(connection, provenance, stamp, document_id)
        machine = entering.machine(entering.organisation(entry.organisation), entry.machine)
        for peak in entry.peaks:
            entering.peak(machine, peak)
        if entry.measurement is not None:
            entering.measurement(machine, entry.measurement)
        rows.append(_row(entry.line, entry.label, entry.cells["cells"], list(entry.notes), machine))
    for line, row in sectors.as_lines(read_file.grid, read_file.sectors):
        rows.append(_row(line.number, row.label, line.cells, line.notes, None))
    Entering(connection, common, stamp, document_id).document_rows(rows)
    return len(rows)


def _row(line: int, label: str, cells: list[str], notes: list[str], machine_id: int | None) -> dict[str, object]:
    return {"line": line, "label": label, "cells": cells, "notes": notes, "machine_id": machine_id}


def _edition(path: Path) -> str | None:
    """Year and month of a list from its file name: TOP500_201811.csv, green500_top_202306.xlsx."""
    found = re.search(r"(?P<year>(19|20)\d\d)[-_]?(?P<month>0[1-9]|1[0-2])(?!\d)", path.stem)
    return f"{found['year']}-{found['month']}" if found else None
