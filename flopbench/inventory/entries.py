"""Enter facts into an open transaction. Nothing here changes a row: what differs becomes a new version, and says why."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.exc import IntegrityError

from flopbench.errors import BadInput
from flopbench.inventory import schema
from flopbench.inventory.model import (
    MachineFacts,
    MeasurementFacts,
    OrganisationFacts,
    PeakFacts,
    Provenance,
    key,
)


class Entering:
    """Enters facts of one source at one moment. `document_id` ties them to the imported file they came from."""

    def __init__(
        self, connection: Connection, provenance: Provenance, now: str, document_id: int | None = None
    ) -> None:
        self.connection = connection
        self.provenance = provenance
        self.now = now
        self.document_id = document_id

    def organisation(self, facts: OrganisationFacts) -> int:
        """The id of the organisation; entered if new, given a new version if these facts add or change something."""
        identity = self._identity(schema.organisations, key=key(facts.name))
        current = self._current(schema.organisation_versions, schema.organisation_versions.c.organisation_id, identity)
        wanted = {name: value for name, value in asdict(facts).items() if value is not None}
        if current is not None:
            wanted = {"sector": current["sector"], "tier": current["tier"], "name": current["name"], **wanted}
            wanted["name"] = current["name"] if key(current["name"]) == key(wanted["name"]) else wanted["name"]
        self._version(schema.organisation_versions, {"organisation_id": identity}, current, wanted)
        return identity

    def machine(self, organisation_id: int, facts: MachineFacts) -> int:
        """The id of the machine of that name at the organisation; entered, or given a new version where facts differ."""
        identity = self._identity(schema.machines, organisation_id=organisation_id, key=key(facts.name))
        self.machine_version(identity, facts)
        return identity

    def machine_version(self, machine_id: int, facts: MachineFacts) -> None:
        """Put these facts over the machine's present ones, as a new version if anything changes."""
        table = schema.machine_versions
        current = self._current(table, table.c.machine_id, machine_id)
        merged = replace(facts, status=facts.status or "running")
        if current is not None:
            merged = MachineFacts(**{name: current[name] for name in asdict(facts)}).merged(facts)
            if key(current["name"]) == key(merged.name):
                merged = replace(merged, name=current["name"])
        self._version(table, {"machine_id": machine_id}, current, asdict(merged))

    def peak(self, machine_id: int, facts: PeakFacts, corrects: int | None = None) -> int | None:
        """The new row's id; None if the machine already has just this peak."""
        table = schema.peaks
        if corrects is None:
            same = (
                select(table.c.id)
                .where(table.c.machine_id == machine_id, table.c.precision == facts.precision)
                .where(table.c.flops == facts.flops, table.c.convention == facts.convention)
            )
            if self.connection.execute(same).first():
                return None
        row = {"machine_id": machine_id, **asdict(facts), **self._provenance(), "corrects": corrects}
        return self._insert_once(table, row, "peak", corrects)

    def measurement(self, machine_id: int, facts: MeasurementFacts, corrects: int | None = None) -> int:
        """The new row's id. Raises BadInput if the row to correct has been corrected already."""
        values = asdict(facts)
        record = values.pop("record")
        row = {"machine_id": machine_id, **values, **self._provenance(), "corrects": corrects}
        new = self._insert_once(schema.measurements, row, "measurement", corrects)
        if record is not None:
            self.connection.execute(insert(schema.records), {"measurement_id": new, "document": record})
        return new

    def document_rows(self, rows: list[dict[str, Any]]) -> None:
        """The rows of the file that this entering is about: line, label, cells (a dict), notes (a list), machine_id."""
        if rows:
            self.connection.execute(
                insert(schema.document_rows),
                [
                    {
                        **row,
                        "document_id": self.document_id,
                        "cells": json.dumps(row["cells"], ensure_ascii=False),
                        "notes": json.dumps(row["notes"], ensure_ascii=False),
                    }
                    for row in rows
                ],
            )

    def _identity(self, table: Table, **columns: Any) -> int:
        query = select(table.c.id).where(*(table.c[name] == value for name, value in columns.items()))
        found = self.connection.execute(query).scalar()
        if found is not None:
            return int(found)
        if self.connection.dialect.name == "sqlite":  # the transaction holds the write lock: nobody came in between
            return _inserted(self.connection, table, columns)
        try:
            with self.connection.begin_nested():
                return _inserted(self.connection, table, columns)
        except IntegrityError:  # another process entered it between the two statements
            return int(self.connection.execute(query).scalar_one())

    def _current(self, table: Table, column: Any, identity: int) -> dict[str, Any] | None:
        query = select(table).where(column == identity).order_by(table.c.version.desc()).limit(1)
        row = self.connection.execute(query).mappings().first()
        return dict(row) if row else None

    def _version(
        self, table: Table, identity: dict[str, int], current: dict[str, Any] | None, wanted: dict[str, Any]
    ) -> None:
        provenance = self._provenance()
        if current is not None:
            changed = [name for name, value in wanted.items() if current[name] != value]
            if not changed:
                return
            filled = all(current[name] is None for name in changed)
            provenance["reason"] = provenance["reason"] or (
                f"{'adds' if filled else 'differs in'} {', '.join(sorted(changed))}"
            )
        number = 1 if current is None else current["version"] + 1
        self.connection.execute(insert(table), {**identity, "version": number, **wanted, **provenance})

    def _insert_once(self, table: Table, row: dict[str, Any], what: str, corrects: int | None) -> int:
        if corrects is None:
            return _inserted(self.connection, table, row)
        owner = self.connection.execute(select(table.c.machine_id).where(table.c.id == corrects)).scalar()
        if owner != row["machine_id"]:
            raise BadInput(
                f"this machine has no {what} {corrects} to correct; flopbench inventory show MACHINE lists them"
            )
        if self.connection.execute(select(table.c.id).where(table.c.corrects == corrects)).first():
            raise BadInput(f"{what} {corrects} has been corrected already; correct the newest row instead")
        return _inserted(self.connection, table, row)

    def _provenance(self) -> dict[str, Any]:
        return {**asdict(self.provenance), "entered_utc": self.now, "document_id": self.document_id}


def enter_document(connection: Connection, row: dict[str, Any]) -> tuple[int, bool]:
    """The id of the imported file with this content, and whether it is new. `row` has all columns of `documents`."""
    table = schema.documents
    known = connection.execute(select(table.c.id).where(table.c.sha256 == row["sha256"])).scalar()
    if known is not None:
        return int(known), False
    return _inserted(connection, table, row), True


def _inserted(connection: Connection, table: Table, row: dict[str, Any]) -> int:
    return int(connection.execute(insert(table).values(**row)).inserted_primary_key[0])
