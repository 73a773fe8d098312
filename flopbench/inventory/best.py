"""The best rates, kept beside the measurements by triggers, so that a list does not have to look through all of them.

One row for each machine, routine, precision and standing that has a rate: of its measurements that were not corrected or
withdrawn the one with the highest rate, of equal rates the one entered last. The triggers work in the transaction of the
filing, whoever files, so the table is right at every commit. On PostgreSQL they first lock the machine, so that of two
filings for one machine the later sees the earlier.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from flopbench.inventory import schema

_GROUP = ("routine", "precision", "machine_id", "standing")
#: Columns of best_rates, and of measurements in the same order.
_KEPT = ", ".join(column.name for column in schema.best_rates.columns)
_FILED = ", ".join(
    "filed.id" if column.name == "measurement_id" else f"filed.{column.name}" for column in schema.best_rates.columns
)


def _highest(group: str) -> str:
    """The id of the measurement that is best in a group; `group` are conditions on `best`."""
    return (
        f"SELECT best.id FROM measurements AS best WHERE {group} AND best.rmax_flops IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM measurements AS later WHERE later.corrects = best.id) "
        "ORDER BY best.rmax_flops DESC, best.id DESC LIMIT 1"
    )


#: All best rates, from the measurements alone.
RECOMPUTED = (
    f"SELECT {_FILED} FROM (SELECT DISTINCT {', '.join(_GROUP)} FROM measurements) AS kind JOIN measurements AS filed "
    f"ON filed.id = ({_highest(' AND '.join(f'best.{name} = kind.{name}' for name in _GROUP))})"
)


def _renew(row: str) -> str:
    """Two statements that put the best rate of a group in its place; the group is that of the measurement named by `row`."""
    same = " AND ".join(f"{{table}}.{name} = (SELECT {name} FROM measurements WHERE id = {row})" for name in _GROUP)
    return (
        f"DELETE FROM best_rates WHERE {same.format(table='best_rates')}; "
        f"INSERT INTO best_rates ({_KEPT}) SELECT {_FILED} FROM measurements AS filed "
        f"WHERE filed.id = ({_highest(same.format(table='best'))});"
    )


def install(connection: Connection) -> None:
    """Make the table and the triggers, then fill it from what has been filed."""
    schema.best_rates.create(connection)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "CREATE FUNCTION flopbench_best_rates() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM 1 FROM machines WHERE id = NEW.machine_id "
            "OR id = (SELECT machine_id FROM measurements WHERE id = NEW.corrects) ORDER BY id FOR NO KEY UPDATE; "
            f"IF NEW.corrects IS NOT NULL THEN {_renew('NEW.corrects')} END IF; {_renew('NEW.id')} RETURN NULL; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER measurements_best_rates AFTER INSERT ON measurements "
            "FOR EACH ROW EXECUTE FUNCTION flopbench_best_rates()"
        )
    else:
        for name, when, row in (
            ("measurements_best_corrected", "WHEN NEW.corrects IS NOT NULL", "NEW.corrects"),
            ("measurements_best_filed", "", "NEW.id"),
        ):
            connection.exec_driver_sql(
                f"CREATE TRIGGER {name} AFTER INSERT ON measurements {when} BEGIN {_renew(row)} END"
            )
    # After the triggers: on PostgreSQL making them waits for the filings under way, and this statement sees those.
    connection.execute(text(f"INSERT INTO best_rates ({_KEPT}) {RECOMPUTED}"))
    if connection.dialect.name == "postgresql":
        # Until its own analysis comes round, PostgreSQL would take the new table for empty: a list took 2 s instead of 0.2.
        connection.exec_driver_sql("ANALYZE best_rates")


def remove(connection: Connection) -> None:
    """Take the table and its triggers away, for `install` to make them anew."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP FUNCTION flopbench_best_rates() CASCADE")  # and the trigger that calls it
    else:
        for name in ("measurements_best_corrected", "measurements_best_filed"):
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
    schema.best_rates.drop(connection)


def wrong(connection: Connection) -> list[tuple[int, str, str, str]]:
    """Machine, routine, precision and standing of each kept rate that is not what the measurements give; empty if all is well."""
    names = "machine_id, routine, precision, standing"
    kept = f"SELECT {_KEPT} FROM best_rates"
    both = f"SELECT * FROM ({kept} EXCEPT {RECOMPUTED}) AS kept UNION ALL SELECT * FROM ({RECOMPUTED} EXCEPT {kept}) AS missing"
    query = f"SELECT DISTINCT {names} FROM ({both}) AS differ ORDER BY {names}"
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(text(query))]
