"""A run that is filed already, and comes again: the same, with energy joined since, or with other content.

A run has one id, whatever is joined to it. The row with energy corrects the one without, so that both stay and the newest counts; its own
run_id is the run's, "/" and the start of its content hash, since ids of rows are unique.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from flopbench.inventory import schema
from flopbench.results import Record, to_document

_ENERGY = {"energy", "energy_reason", "content_sha256"}
#: A log names neither its machine nor its time zone, and who reads it is not the run's: the run id, its hash, says which log it was.
_READ_FROM_A_LOG = {"run_times_utc", "machine", "flopbench"}


@dataclass(frozen=True)
class Standing:
    """What a record is to the run that is filed: "already filed", "adds energy" or "refused", and the row that it would correct."""

    what: str
    reason: str
    row_id: int
    machine_id: int


def standing(connection: Connection, record: Record) -> Standing | None:
    """How `record` stands to what is filed of its run; None if nothing is."""
    rows = _chain(connection, record.run_id)
    if not rows:
        return None
    newest = rows[-1]

    def found(what: str, reason: str) -> Standing:
        return Standing(what, reason, int(newest.id), int(newest.machine_id))

    for row in rows:
        if row.content_sha256 == record.content_sha256:
            later = "" if row.id == newest.id else f", corrected on {newest.entered_utc}"
            return found("already filed", f"filed on {row.entered_utc}{later}")
    if newest.document is None:
        return found("refused", f"run {record.run_id} was corrected by hand on {newest.entered_utc}; that stands")
    filed = json.loads(newest.document)
    if not _same_but_energy(filed, to_document(record)):
        return found("refused", f"run {record.run_id} is filed already with other content")
    if record.energy is not None:
        return found("adds energy", f"adds energy to the run filed on {rows[0].entered_utc}; the row before it stays")
    if filed["energy"] is not None:
        return found("already filed", f"filed on {newest.entered_utc}, with energy")
    return found("refused", f"run {record.run_id} is filed already with other content")


def row_run_id(record: Record) -> str:
    """The run_id of a row that corrects another of the same run."""
    return f"{record.run_id}/{record.content_sha256[:12]}"


def _chain(connection: Connection, run_id: str) -> list[Any]:
    """The run's row, the one that corrects it, and so on."""
    table, documents = schema.measurements, schema.records
    query = select(
        table.c.id, table.c.machine_id, table.c.content_sha256, table.c.entered_utc, documents.c.document
    ).outerjoin(documents, documents.c.measurement_id == table.c.id)
    rows: list[Any] = []
    row = connection.execute(query.where(table.c.run_id == run_id)).first()
    while row is not None:
        rows.append(row)
        row = connection.execute(query.where(table.c.corrects == row.id)).first()
    return rows


def _same_but_energy(filed: dict[str, Any], new: dict[str, Any]) -> bool:
    apart = _ENERGY | (_READ_FROM_A_LOG if new["foreign"] else set())
    return {k: v for k, v in filed.items() if k not in apart} == {k: v for k, v in new.items() if k not in apart}
