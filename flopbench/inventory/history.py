"""Read back what was known of a machine, when, from where: every version, every correction."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from flopbench.errors import BadInput, UnknownName
from flopbench.inventory import schema
from flopbench.inventory.places import find_machine

_PROVENANCE = ("source", "query_date", "remarks", "reason", "entered_utc")


def machine(connection: Connection, name: str, organisation: str | None = None) -> dict[str, Any]:
    """All that was ever entered about the machine, oldest first. Raises UnknownName, BadInput (several of that name)."""
    identity = find_machine(connection, name, organisation)
    if identity is None:
        raise UnknownName("machine", name, _near_names(connection, name))
    owner = connection.execute(
        select(schema.machines.c.organisation_id).where(schema.machines.c.id == identity)
    ).scalar_one()
    return {
        "machine_id": identity,
        "organisation": _versions(connection, schema.organisation_versions, "organisation_id", owner),
        "versions": _versions(connection, schema.machine_versions, "machine_id", identity),
        "peaks": _facts(connection, schema.peaks, identity),
        "measurements": _facts(connection, schema.measurements, identity),
    }


def figure_sources(versions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each known field of a machine or organisation, the provenance of the version that gave it its present value."""
    found: dict[str, dict[str, Any]] = {}
    for earlier, version in zip([{}, *versions], versions, strict=False):
        for name, value in version.items():
            if name in _PROVENANCE or name in ("id", "version") or value is None:
                continue
            if earlier.get(name) != value:
                found[name] = {key: version[key] for key in _PROVENANCE}
    return found


def record(connection: Connection, run_id: str) -> dict[str, Any]:
    """The whole record of a filed run, as it came. Raises BadInput."""
    query = (
        select(schema.records.c.document)
        .join(schema.measurements, schema.measurements.c.id == schema.records.c.measurement_id)
        .where(schema.measurements.c.run_id == run_id)
    )
    text = connection.execute(query).scalar()
    if text is None:
        raise BadInput(f"no run {run_id} is filed; flopbench inventory show MACHINE lists the runs of a machine")
    document = json.loads(text)
    assert isinstance(document, dict)
    return document


def _versions(connection: Connection, table: Any, column: str, identity: int) -> list[dict[str, Any]]:
    query = select(table).where(table.c[column] == identity).order_by(table.c.version)
    return [dict(row) for row in connection.execute(query).mappings()]


def _facts(connection: Connection, table: Any, identity: int) -> list[dict[str, Any]]:
    """Rows with `corrected_by`, the id of the row that replaces them, or None."""
    rows = [
        dict(row)
        for row in connection.execute(
            select(table).where(table.c.machine_id == identity).order_by(table.c.id)
        ).mappings()
    ]
    later = {row["corrects"]: row["id"] for row in rows if row["corrects"] is not None}
    return [{**row, "corrected_by": later.get(row["id"])} for row in rows]


def _near_names(connection: Connection, name: str) -> list[str]:
    words = [w for w in name.casefold().split() if len(w) > 2][:3] or [name.casefold()]
    query = select(schema.machines.c.key).limit(2000)
    keys = [str(row.key) for row in connection.execute(query)]
    near = [k for k in keys if any(w in k for w in words)]
    return (near or keys)[:8]
