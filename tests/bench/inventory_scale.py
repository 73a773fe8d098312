"""How fast is a large inventory? Builds one and times submit, list and summary; a benchmark, not a test.

python tests/bench/inventory_scale.py [--measurements 1000000] [--machines 20000] [--inventory FILE or URL] [--only-fill]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from records import hpl_record
from sqlalchemy import select, text

from flopbench.inventory import migrations, schema, summary
from flopbench.inventory.store import Inventory
from flopbench.inventory.submit import Submission, submit

STAMP = "2026-11-02T00:00:00Z"
BEFORE_BEST_RATES = 2
SECTORS = ("university", "hospital", "government", "industry")


def fill(inventory: Inventory, machines: int, measurements: int) -> None:
    """`machines` of machines // 20 owners, and `measurements` spread evenly over them; the database makes the rows.

    The inventory starts at the step before the best rates and is brought up to date when it is full, as an older one is:
    the table of best rates is then made in one pass instead of a million times by a trigger.
    """
    postgres = inventory.engine.dialect.name == "postgresql"
    run_id = "CAST(gen_random_uuid() AS text)" if postgres else "lower(hex(randomblob(16)))"
    entered = f"'a benchmark', '{STAMP}'"
    sector = " ".join(f"WHEN {place} THEN '{name}'" for place, name in enumerate(SECTORS))
    statements = (
        (machines // 20, "organisations (id, key)", "number, 'owner ' || (number - 1)"),
        (
            machines // 20,
            "organisation_versions (organisation_id, version, name, sector, source, entered_utc)",
            f"number, 1, 'owner ' || (number - 1), CASE (number - 1) % 4 {sector} END, {entered}",
        ),
        (machines, "machines (id, organisation_id, key)", "number, 1 + (number - 1) / 20, 'machine ' || (number - 1)"),
        (
            machines,
            "machine_versions (machine_id, version, name, cores, status, year, source, entered_utc)",
            f"number, 1, 'machine ' || (number - 1), 1000, 'running', 2000 + number % 26, {entered}",
        ),
        (
            machines,
            "peaks (machine_id, precision, flops, convention, source, entered_utc)",
            f"number, 'fp64', 1e12 * number, 'as published', {entered}",
        ),
        (
            measurements,
            "measurements (machine_id, standing, routine, precision, rmax_flops, run_id, measured_on, source, entered_utc)",
            f"1 + number % {machines}, 'verified', 'lu', 'fp64', "
            f"5e11 * (1 + number % {machines}) * (1 - 0.003 * (number / {machines} % 100)), {run_id}, '{STAMP}', {entered}",
        ),
    )
    with inventory.writing() as connection:
        migrations.migrate(connection, STAMP, "0.1.0", target=BEFORE_BEST_RATES)
        for rows, into, values in statements:
            numbers = f"SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {rows}"
            query = f"WITH RECURSIVE numbers (number) AS ({numbers}) SELECT {values} FROM numbers"
            connection.execute(text(f"INSERT INTO {into} {query}"))
        if postgres:  # ids were given, not drawn
            for table in ("organisations", "machines"):
                connection.execute(text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"))
    inventory.init()
    if postgres:
        with inventory.writing() as connection:
            connection.execute(text("ANALYZE"))  # as a database that has stood for a minute has done by itself


def filled(inventory: Inventory) -> bool:
    with inventory.reading() as connection:
        if migrations.step_of(connection) == 0:
            return False
        return connection.execute(select(schema.measurements.c.id).limit(1)).first() is not None


def timed(what: str, runs: int, action) -> None:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    print(
        f"{what:<19} median {statistics.median(times) * 1e3:8.1f} ms, worst {max(times) * 1e3:8.1f} ms, {runs} runs",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--measurements", type=int, default=1_000_000)
    parser.add_argument("--machines", type=int, default=20_000)
    parser.add_argument("--inventory", help="filled once if it is empty, and kept; else a temporary one")
    parser.add_argument("--only-fill", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Inventory(options.inventory or f"{folder}/inventory.sqlite3") as inventory,
    ):
        if not filled(inventory):
            fill(inventory, options.machines, options.measurements)
        if options.only_fill:
            return
        print(f"{options.measurements:,} measurements of {options.machines:,} machines in {inventory.name}")

        def submit_one() -> None:
            submission = Submission(hpl_record(rmax=4e11), "run.json", "owner 3", "machine 77")
            (outcome,) = submit(inventory, [submission], datetime(2026, 11, 3, tzinfo=UTC))
            assert outcome.what == "filed", outcome

        def read(what) -> None:
            with inventory.reading() as connection:
                what(connection)

        def whole(*arguments: str) -> None:
            command = [str(Path(sys.executable).with_name("flopbench")), "inventory", *arguments, "--inventory", where]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        where = options.inventory or f"{folder}/inventory.sqlite3"
        timed("submit", 50, submit_one)
        timed("list", 9, lambda: read(lambda c: summary.ranking(c, "rmax", limit=20)))
        timed("summary", 9, lambda: read(lambda c: summary.by(c, "sector")))
        timed("the command list", 9, lambda: whole("list"))
        timed("the command summary", 9, lambda: whole("summary"))


if __name__ == "__main__":
    main()
