"""Audit: recompute what can be recomputed, a finding per doubt. Reads only; published figures are never corrected."""

from __future__ import annotations

from sqlalchemy import Connection

from flopbench.inventory.audit import sector_sums, stored, system_rows, twins
from flopbench.inventory.audit.finding import Finding
from flopbench.inventory.audit.tables import systems, tables
from flopbench.inventory.overview import machine_rows


def audit(connection: Connection) -> list[Finding]:
    """All findings: table by table, then between tables, then in the store."""
    findings: list[Finding] = []
    of_systems = []
    imported: set[int] = set()
    for table in tables(connection):
        imported.update(machine for machine in table.machines.values() if machine is not None)
        if table.form == "sectors":
            findings += sector_sums.check(table)
        else:
            read = systems(table)
            of_systems.append(read)
            findings += system_rows.check(read)
    findings += twins.check(of_systems)
    findings += stored.check(connection, machine_rows(connection), imported)
    return findings
