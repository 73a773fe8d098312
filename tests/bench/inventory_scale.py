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
import uuid
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from records import hpl_record
from sqlalchemy import insert, select

from flopbench.inventory import schema, summary
from flopbench.inventory.entries import Entering
from flopbench.inventory.model import MachineFacts, OrganisationFacts, PeakFacts, Provenance
from flopbench.inventory.store import Inventory
from flopbench.inventory.submit import Submission, submit

STAMP = "2026-11-02T00:00:00Z"
SECTORS = ("university", "hospital", "government", "industry")


def fill(inventory: Inventory, machines: int, measurements: int) -> None:
    """`machines` of machines // 20 owners, and `measurements` spread evenly over them."""
    with inventory.writing() as connection:
        book = Entering(connection, Provenance("a benchmark"), STAMP)
        identities = []
        for number in range(machines):
            owner = book.organisation(OrganisationFacts(f"owner {number // 20}", SECTORS[number // 20 % 4]))
            machine = book.machine(owner, MachineFacts(f"machine {number}", year=2000 + number % 26, cores=1000))
            book.peak(machine, PeakFacts("fp64", 1e12 * (1 + number)))
            identities.append(machine)
    for start in range(0, measurements, 50_000):
        with inventory.writing() as connection:
            connection.execute(
                insert(schema.measurements),
                [
                    {
                        "machine_id": identities[number % machines],
                        "standing": "verified",
                        "routine": "lu",
                        "precision": "fp64",
                        "rmax_flops": 5e11 * (1 + number % machines) * (1 - 0.3 * (number // machines % 100) / 100),
                        "run_id": str(uuid.uuid4()),
                        "measured_on": STAMP,
                        "source": "a benchmark",
                        "entered_utc": STAMP,
                    }
                    for number in range(start, min(start + 50_000, measurements))
                ],
            )


def filled(inventory: Inventory) -> bool:
    with inventory.reading() as connection:
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
        inventory.init()
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
