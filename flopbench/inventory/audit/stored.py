"""What the inventory holds, apart from imported files: entered machines, their peaks and rates, and the records as they are stored."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, select

from flopbench.inventory import best, schema
from flopbench.inventory.audit.finding import Cell, Finding, number
from flopbench.inventory.audit.system_rows import limits
from flopbench.inventory.overview import MachineRow
from flopbench.results import content_sha256
from flopbench.units import rate

_TITLE = "inventory"


def check(connection: Connection, rows: list[MachineRow], imported: set[int]) -> Iterator[Finding]:
    """`imported` are the machines whose figures came from files: what those say is judged cell by cell elsewhere."""
    for row in rows:
        if row.machine_id not in imported:
            yield from _rates(row)
            yield from _cores(row)
        yield from _planned(row)
    yield from _twins([row for row in rows if row.machine_id not in imported])
    yield from _kept(connection)
    yield from _records(connection)


def _cell(row: MachineRow, column: str, text: str) -> Cell:
    return Cell(_TITLE, f"{row.organisation} / {row.name}", column, text)


def _rates(row: MachineRow) -> Iterator[Finding]:
    if row.of_rpeak and row.of_rpeak > 1 and row.rmax and row.rpeak:
        yield Finding(
            "rmax over rpeak",
            "doubt",
            (_cell(row, "Rmax", rate(row.rmax)), _cell(row, "Rpeak", rate(row.rpeak))),
            f"Rmax is {100 * row.of_rpeak:.4g} % of Rpeak",
            f"a factor of {row.of_rpeak:.4g}",
            "the peak is of another precision, clock or number of nodes than the run",
        )
    record = limits()["gflops_per_watt"]["value"]
    if row.flops_per_watt and row.flops_per_watt / 1e9 > record and row.best and row.best.power_w:
        yield Finding(
            "beyond record",
            "doubt",
            (_cell(row, "Rmax", rate(row.best.rmax_flops)), _cell(row, "power", f"{row.best.power_w / 1e3:g} kW")),
            f"{number(row.flops_per_watt / 1e9)} GFLOPS/W, more than any system has reached ({record})",
            f"a factor of {row.flops_per_watt / 1e9 / record:.3g}",
            "a unit is off by 1000, or the meter sees a part of the machine only",
        )


def _cores(row: MachineRow) -> Iterator[Finding]:
    cores, nodes, each = (row.facts[name] for name in ("cores", "nodes", "cores_per_node"))
    if cores and nodes and each and not row.facts["accelerator_cores"] and nodes * each != cores:
        yield Finding(
            "cores",
            "slip",
            tuple(_cell(row, n, str(row.facts[n])) for n in ("cores", "nodes", "cores_per_node")),
            f"{nodes:,} nodes x {each:,} cores are {nodes * each:,}, entered are {cores:,}",
            f"{abs(nodes * each - cores):,}",
            "nodes were added or left out, or a digit is wrong",
        )


def _planned(row: MachineRow) -> Iterator[Finding]:
    if row.status == "planned" and row.best is not None:
        yield Finding(
            "status",
            "doubt",
            (_cell(row, "status", "planned"), _cell(row, "Rmax", rate(row.best.rmax_flops))),
            "a planned machine has a measured Rmax",
            "not a number",
            "the machine runs by now: enter the new status with a reason",
        )


def _twins(rows: list[MachineRow]) -> Iterator[Finding]:
    """Machines of one owner with the same Rmax and the same peak under two names."""
    groups: dict[tuple[object, ...], list[MachineRow]] = defaultdict(list)
    for row in rows:
        if row.rmax and row.rpeak:
            groups[row.organisation, row.rmax, row.rpeak].append(row)
    for group in groups.values():
        if len(group) > 1:
            yield Finding(
                "duplicate",
                "doubt",
                tuple(_cell(row, "machine", row.name) for row in group),
                f"{len(group)} machines of one owner have the same Rmax and the same Rpeak",
                "the same figures",
                "one machine was entered under two names",
            )


def _kept(connection: Connection) -> Iterator[Finding]:
    """Best rates, as kept for lists, that are not those of the measurements."""
    for machine, *kind in best.wrong(connection):
        yield Finding(
            "kept rate",
            "slip",
            (Cell(_TITLE, f"machine {machine}", "best_rates", " ".join(kind)),),
            "the best rate that lists show is not the best of the measurements",
            "not a number",
            "the database was changed by other means than flopbench",
        )


def _records(connection: Connection) -> Iterator[Finding]:
    """Stored records whose content does not give the hash that they were filed with."""
    query = select(schema.records.c.document, schema.measurements.c.run_id, schema.measurements.c.content_sha256).join(
        schema.measurements, schema.measurements.c.id == schema.records.c.measurement_id
    )
    for row in connection.execution_options(yield_per=500).execute(query):
        found = content_sha256(json.loads(row.document))
        if found != row.content_sha256:
            yield Finding(
                "altered record",
                "slip",
                (Cell(_TITLE, f"run {row.run_id}", "content_sha256", row.content_sha256),),
                "the stored record is not the one that was filed",
                f"its content gives {found[:16]}...",
                "the database was changed by other means than flopbench",
            )
