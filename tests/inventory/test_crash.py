"""Eight processes submit records while one of them is killed with -9 again and again: nothing acknowledged is lost or doubled.

FLOPBENCH_CRASH_RECORDS=1000 runs it at the size of the promise; the daily run is smaller.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from records import hpl_record
from sqlalchemy import text

from flopbench import results
from flopbench.inventory import best
from flopbench.inventory.store import Inventory

RECORDS = int(os.environ.get("FLOPBENCH_CRASH_RECORDS", "80"))
PROCESSES, KILLS = 8, 3 + RECORDS // 100
SCRIPT = Path(__file__).parent / "submitter.py"


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    for number in range(RECORDS):
        results.write(hpl_record(rmax=1e12 + number, n=2000), folder)
    return folder


def start(location: str, records: Path, number: int, tmp_path: Path) -> subprocess.Popen:
    command = [
        sys.executable,
        str(SCRIPT),
        location,
        str(records),
        str(number),
        str(PROCESSES),
        str(tmp_path / f"{number}.ack"),
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def crash_and_finish(location: str, records: Path, tmp_path: Path) -> set[str]:
    """Run all to the end, killing a random one KILLS times on the way; the run ids that were acknowledged."""
    chance = random.Random(7)
    running = [start(location, records, number, tmp_path) for number in range(PROCESSES)]
    kills = 0
    while any(p.poll() is None for p in running):
        time.sleep(chance.uniform(0.3, 0.8))
        victim = chance.randrange(PROCESSES)
        if kills < KILLS and running[victim].poll() is None:
            running[victim].send_signal(signal.SIGKILL)
            running[victim].communicate()
            running[victim] = start(location, records, victim, tmp_path)
            kills += 1
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert kills > 0
    return {line for number in range(PROCESSES) for line in (tmp_path / f"{number}.ack").read_text().split()}


def check(location: str, acknowledged: set[str]) -> None:
    with Inventory(location) as inventory, inventory.reading() as connection:
        filed = Counter(row.run_id for row in connection.execute(text("SELECT run_id FROM measurements")))
        whole = connection.execute(text("SELECT count(*) FROM records")).scalar()
        machines = connection.execute(text("SELECT count(*) FROM machines")).scalar()
        assert best.wrong(connection) == []
    assert set(filed) == acknowledged
    assert set(filed.values()) == {1}
    assert len(acknowledged) == whole == RECORDS
    assert machines == len({(number % 3, number % 5) for number in range(PROCESSES)})


@pytest.mark.slow
def test_sqlite_survives(tmp_path, records):
    path = tmp_path / "inventory.sqlite3"
    with Inventory(str(path)) as inventory:
        inventory.init()
    check(str(path), crash_and_finish(str(path), records, tmp_path))
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.slow
def test_postgresql_survives(tmp_path, records, postgres):
    with Inventory(postgres) as inventory:
        inventory.init()
    check(postgres, crash_and_finish(postgres, records, tmp_path))
