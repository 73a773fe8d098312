"""The same inventory on a real PostgreSQL server."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from records import hpl_record
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from flopbench.errors import Unreachable
from flopbench.inventory import history, importing, overview
from flopbench.inventory.audit import audit
from flopbench.inventory.store import Inventory
from flopbench.inventory.submit import Submission, submit

NOW = datetime(2026, 11, 3, tzinfo=UTC)
REPORT = Path(__file__).parent / "report"


@pytest.fixture
def inventory(postgres):
    with Inventory(postgres) as opened:
        opened.init()
        yield opened


def test_a_record_is_filed_once_and_read_back(inventory):
    record = hpl_record()
    assert inventory.init() == []
    for what in ("filed", "already filed"):
        (outcome,) = submit(inventory, [Submission(record, "run.json", "NTU", "alpha")], NOW)
        assert outcome.what == what
    with inventory.reading() as connection:
        (row,) = overview.machine_rows(connection)
        assert row.rmax == record.rmax_flops
        assert history.record(connection, record.run_id)["run_id"] == record.run_id


def test_facts_cannot_be_changed_there_either(inventory):
    submit(inventory, [Submission(hpl_record(), "run.json", "NTU", "alpha")], NOW)
    for statement in ("UPDATE measurements SET rmax_flops = 1", "DELETE FROM records"):
        with pytest.raises(DatabaseError, match="never changed"), inventory.writing() as connection:
            connection.execute(text(statement))


def test_the_reports_tables_give_the_same_findings_as_on_sqlite(inventory, tmp_path):
    with Inventory(str(tmp_path / "i.db")) as other:
        other.init()
        found = []
        for place in (inventory, other):
            for name in ("table-3.1", "table-3.4", "table-5.2", "table-5.3", "appendix-2"):
                read = importing.read(REPORT / f"{name}.csv", None, "2024-06")
                importing.enter(place, read, "CTCI 2024", NOW, title=name)
            with place.reading() as connection:
                found.append(audit(connection))
    assert found[0] == found[1]
    assert len(found[0]) == 15


def test_submissions_that_wait_for_each_other_are_both_filed(inventory):
    """This transaction holds alpha and then wants beta; the other submits to beta, then to alpha."""

    def filing(machine):
        return Submission(hpl_record(), f"{machine}.json", "NTU", machine)

    submit(inventory, [filing("alpha"), filing("beta")], NOW)
    outcomes = []
    other = threading.Thread(target=lambda: outcomes.extend(submit(inventory, [filing("beta"), filing("alpha")], NOW)))
    with inventory.writing() as connection:
        connection.execute(text("SET LOCAL deadlock_timeout = '60s'"))  # so that it is the other that is undone
        connection.execute(text("SELECT 1 FROM machines WHERE key = 'alpha' FOR NO KEY UPDATE"))
        other.start()
        other.join(0.4)
        connection.execute(text("SELECT 1 FROM machines WHERE key = 'beta' FOR NO KEY UPDATE"))
    other.join()
    assert [outcome.what for outcome in outcomes] == ["filed", "filed"]


def test_a_server_that_does_not_answer_is_said(postgres):
    with pytest.raises(Unreachable, match="cannot be reached"):
        Inventory(postgres.rsplit(":", 1)[0] + ":1/none").check_schema()


def test_a_password_never_shows():
    assert "secret" not in Inventory("postgresql://me:secret@127.0.0.1:1/db").name
