"""Numbered steps from an empty database to the present schema; each is applied once and written down.

A step never changes once it has shipped: what comes later is a new step. (Alembic would bring three packages and a folder of scripts.)
A database that is newer than this flopbench is refused with the version that made it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, inspect, text

from flopbench.errors import BadInput
from flopbench.inventory import best, schema


class Step(NamedTuple):
    number: int
    name: str
    apply: Callable[[Connection], None]


def _tables(connection: Connection) -> None:
    schema.metadata.create_all(connection, tables=schema.FACTS)


def _append_only(connection: Connection) -> None:
    """Triggers that refuse to change or remove a fact, whoever connects and however."""
    message = "inventory facts are never changed: enter a correction"
    if connection.dialect.name == "postgresql":
        connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION flopbench_append_only() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
            )
        )
    for table in schema.FACTS:
        for verb in ("UPDATE", "DELETE"):
            name = f"{table.name}_no_{verb.lower()}"
            if connection.dialect.name == "postgresql":
                body = "FOR EACH ROW EXECUTE FUNCTION flopbench_append_only()"
            else:
                body = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            connection.execute(text(f"CREATE TRIGGER {name} BEFORE {verb} ON {table.name} {body}"))


STEPS = (Step(1, "tables", _tables), Step(2, "append only", _append_only), Step(3, "best rates", best.install))
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
