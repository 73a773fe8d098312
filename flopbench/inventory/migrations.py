"""Numbered steps from an empty database to the present schema; each is applied once and written down.

A step never changes once it has shipped: what comes later is a new step. (Alembic would bring three packages and a folder of scripts.)
A database that is newer than this flopbench is refused with the version that made it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, inspect, text

from flopbench.errors import BadInput
from flopbench.inventory import best, schema
from flopbench.inventory.model import cover

_REFUSAL = "inventory facts are never changed: enter a correction"


class Step(NamedTuple):
    number: int
    name: str
    apply: Callable[[Connection], None]


def _tables(connection: Connection) -> None:
    schema.metadata.create_all(connection, tables=schema.FACTS)


def _append_only(connection: Connection) -> None:
    """Triggers that refuse to change or remove a fact, whoever connects and however."""
    if connection.dialect.name == "postgresql":
        connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION flopbench_append_only() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
            )
        )
    for table in schema.FACTS:
        for verb in ("UPDATE", "DELETE"):
            _refuse(connection, table.name, verb)


def _refuse(connection: Connection, table: str, verb: str) -> None:
    if connection.dialect.name == "postgresql":
        body = "FOR EACH ROW EXECUTE FUNCTION flopbench_append_only()"
    else:
        body = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    connection.execute(text(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {body}"))


def _best_rates(connection: Connection) -> None:
    _covers(connection)
    best.install(connection)


def _power_cover(connection: Connection) -> None:
    """What a power was read of, beside it; also in the best rates of an inventory that had them without it."""
    _covers(connection)
    if not _has_cover(connection, "best_rates"):
        best.remove(connection)
        best.install(connection)


def _covers(connection: Connection) -> None:
    """The column, filled from the records that were filed before there was one. The only update of a fact: it adds what its record says."""
    if _has_cover(connection, "measurements"):
        return
    connection.execute(text("ALTER TABLE measurements ADD COLUMN power_cover TEXT"))
    on = " ON measurements" if connection.dialect.name == "postgresql" else ""
    connection.execute(text(f"DROP TRIGGER measurements_no_update{on}"))
    filed = text("SELECT id, document FROM measurements JOIN records ON measurement_id = id WHERE power_w IS NOT NULL")
    for row in connection.execute(filed).all():
        values = {"id": row.id, "cover": cover(json.loads(row.document)["energy"]["cover"])}
        connection.execute(text("UPDATE measurements SET power_cover = :cover WHERE id = :id"), values)
    _refuse(connection, "measurements", "UPDATE")


def _has_cover(connection: Connection, table: str) -> bool:
    return any(column["name"] == "power_cover" for column in inspect(connection).get_columns(table))


STEPS = (
    Step(1, "tables", _tables),
    Step(2, "append only", _append_only),
    Step(3, "best rates", _best_rates),
    Step(4, "power cover", _power_cover),
)
LATEST = STEPS[-1].number


def step_of(connection: Connection) -> int:
    """The last step this database has seen; 0 for an empty one. Raises BadInput if the database is not an inventory or is newer."""
    names = set(inspect(connection).get_table_names())
    if "schema_steps" not in names:
        taken = names & {table.name for table in schema.FACTS}
        if taken:
            raise BadInput(
                f"the database has a table {sorted(taken)[0]} but is no flopbench inventory; choose another with --inventory URL"
            )
        return 0
    row = connection.execute(text("SELECT step, flopbench FROM schema_steps ORDER BY step DESC LIMIT 1")).first()
    if row is None:
        return 0
    if row.step > LATEST:
        raise BadInput(
            f"the inventory has schema step {row.step}, this flopbench knows up to {LATEST}; use flopbench {row.flopbench} or newer"
        )
    return int(row.step)


def migrate(connection: Connection, now: str, version: str, target: int = LATEST) -> list[str]:
    """Apply the missing steps up to `target` inside the caller's transaction; the names of those applied."""
    if connection.dialect.name == "postgresql":
        # Two processes may open a fresh database at the same moment; the lock ends with the transaction.
        connection.execute(text("SELECT pg_advisory_xact_lock(7077)"))
    done = step_of(connection)
    applied = []
    for step in STEPS:
        if done < step.number <= target:
            schema.schema_steps.create(connection, checkfirst=True)
            step.apply(connection)
            row = {"step": step.number, "name": step.name, "applied_utc": now, "flopbench": version}
            connection.execute(schema.schema_steps.insert(), row)
            applied.append(step.name)
    return applied
