"""The store keeps everything, changes nothing, and knows its own age."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from flopbench.cli import run
from flopbench.errors import BadInput, UnknownName, Unreachable
from flopbench.inventory import history, migrations, schema
from flopbench.inventory.entries import Entering
from flopbench.inventory.model import MachineFacts, OrganisationFacts, PeakFacts, Provenance, key, sector
from flopbench.inventory.store import Inventory, parse_location

STAMP = "2026-11-02T00:00:00Z"


@pytest.fixture
def inventory(tmp_path: Path):
    with Inventory(str(tmp_path / "inventory.sqlite3")) as opened:
        opened.init()
        yield opened


def entering(connection, **provenance) -> Entering:
    return Entering(connection, Provenance(**{"source": "a page", **provenance}), STAMP)


def enter_machine(inventory, **facts) -> int:
    with inventory.writing() as connection:
        book = entering(connection)
        return book.machine(book.organisation(OrganisationFacts("NTU")), MachineFacts(name="alpha", **facts))


def test_init_twice_does_nothing_the_second_time(inventory):
    assert inventory.init() == []


def test_every_table_of_facts_refuses_updates_and_deletes(inventory):
    enter_machine(inventory, cores=10)
    with inventory.reading() as connection:
        tables = [t.name for t in schema.FACTS]
        assert {"machines", "measurements", "records"} <= set(tables)
    for statement in ("UPDATE machine_versions SET cores = 11", "DELETE FROM machines"):
        with pytest.raises(DatabaseError, match="never changed"), inventory.writing() as connection:
            connection.execute(text(statement))


def test_a_change_is_a_new_version_with_its_reason(inventory):
    machine = enter_machine(inventory, cores=10, os="Linux")
    with inventory.writing() as connection:
        entering(connection, source="the owner", reason="cores were counted twice").machine_version(
            machine, MachineFacts(name="alpha", cores=20)
        )
    with inventory.reading() as connection:
        found = history.machine(connection, "ALPHA")
    assert [v["cores"] for v in found["versions"]] == [10, 20]
    assert found["versions"][1]["os"] == "Linux", "what is not said stays known"
    sources = history.figure_sources(found["versions"])
    assert sources["cores"]["source"] == "the owner"
    assert sources["os"]["source"] == "a page"


def test_the_same_facts_again_make_no_new_version(inventory):
    enter_machine(inventory, cores=10)
    enter_machine(inventory, cores=10)
    with inventory.reading() as connection:
        assert len(history.machine(connection, "alpha")["versions"]) == 1


def test_a_peak_is_corrected_once_and_both_rows_stay(inventory):
    machine = enter_machine(inventory)
    with inventory.writing() as connection:
        first = entering(connection).peak(machine, PeakFacts("fp64", 1e15))
        entering(connection, reason="dense, not sparse").peak(machine, PeakFacts("fp64", 5e14), corrects=first)
    with pytest.raises(BadInput, match="corrected already"), inventory.writing() as connection:
        entering(connection, reason="again").peak(machine, PeakFacts("fp64", 4e14), corrects=first)
    with inventory.reading() as connection:
        peaks = history.machine(connection, "alpha")["peaks"]
    assert [p["flops"] for p in peaks] == [1e15, 5e14]
    assert peaks[0]["corrected_by"] == peaks[1]["id"]


def test_a_correction_without_a_reason_is_refused_by_the_database_itself(inventory):
    machine = enter_machine(inventory)
    with inventory.writing() as connection:
        first = entering(connection).peak(machine, PeakFacts("fp64", 1e15))
    with pytest.raises(DatabaseError, match="has_reason"), inventory.writing() as connection:
        entering(connection).peak(machine, PeakFacts("fp64", 5e14), corrects=first)


def test_a_transaction_that_fails_leaves_nothing(inventory):
    with pytest.raises(RuntimeError), inventory.writing() as connection:
        entering(connection).organisation(OrganisationFacts("NTU"))
        raise RuntimeError
    with inventory.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM organisations")).scalar() == 0


def test_an_older_inventory_is_brought_up_to_date_with_its_rows(tmp_path):
    with Inventory(str(tmp_path / "old.db")) as inventory:
        with inventory.writing() as connection:
            migrations.migrate(connection, STAMP, "0.1.0", target=1)
        enter_machine(inventory, cores=10)
        with pytest.raises(BadInput, match="inventory init"):
            inventory.check_schema()
        assert inventory.init() == [step.name for step in migrations.STEPS[1:]]
        inventory.check_schema()
        with inventory.reading() as connection:
            assert history.machine(connection, "alpha")["versions"][0]["cores"] == 10


def test_a_reader_does_not_wait_for_a_writer(inventory, capsys, monkeypatch):
    monkeypatch.setattr("flopbench.inventory.store.BUSY_SECONDS", 0.1)
    with inventory.writing() as connection:
        entering(connection).organisation(OrganisationFacts("NTU"))
        assert run(["inventory", "list", "--inventory", inventory.name]) == 0
        assert run(["inventory", "add", "--inventory", inventory.name, "--organisation", "X", "--source", "y"]) == 4
    assert "database is locked" in capsys.readouterr().err


def test_a_newer_inventory_names_the_flopbench_that_reads_it(inventory):
    with inventory.writing() as connection:
        row = {"step": 99, "name": "future", "applied_utc": STAMP, "flopbench": "7.0.0"}
        connection.execute(schema.schema_steps.insert(), row)
    with pytest.raises(BadInput, match=r"flopbench 7\.0\.0 or newer"):
        inventory.check_schema()


def test_a_database_of_somebody_else_is_left_alone(tmp_path):
    with Inventory(str(tmp_path / "other.db")) as inventory:
        with inventory.writing() as connection:
            connection.execute(text("CREATE TABLE machines (id INTEGER)"))
        with pytest.raises(BadInput, match="no flopbench inventory"):
            inventory.init()


def test_no_file_is_said_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(Unreachable, match="inventory init"):
        Inventory(str(tmp_path / "none.db")).check_schema()


def test_a_file_that_is_no_database_is_refused(tmp_path, capsys):
    path = tmp_path / "text.db"
    path.write_text("no database at all, but longer than a header of one hundred bytes would be" * 3)
    assert run(["inventory", "list", "--inventory", str(path)]) == 2
    assert "not a SQLite database" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "http://x", "://", "postgresql://host:port/db"])
def test_other_urls_are_refused_in_one_line(url):
    with pytest.raises(BadInput):
        parse_location(url)


def test_names_are_compared_without_case_width_and_extra_spaces():
    assert key("  ＮＴＵ  Hospital ") == key("ntu hospital")


@pytest.mark.parametrize(
    ("text", "expected"), [("學校", "university"), ("Academic", "university"), ("政府機構 (含 Taipei-1)", "government")]
)
def test_sectors_are_known_in_both_languages(text, expected):
    assert sector(text) == expected


def test_an_unknown_sector_lists_the_known_ones():
    with pytest.raises(UnknownName, match="hospital"):
        sector("zoo")


def test_corrections_through_the_command_need_a_reason(tmp_path, capsys):
    where = ["--inventory", str(tmp_path / "i.db")]
    assert run(["inventory", "init", *where]) == 0
    add = [
        "inventory",
        "add",
        *where,
        "--organisation",
        "NTU",
        "--sector",
        "學校",
        "--machine",
        "alpha",
        "--source",
        "a page",
    ]
    assert run([*add, "--rpeak-tflops", "10"]) == 0
    assert run([*add, "--rpeak-tflops", "20", "--correct-peak", "1"]) == 2
    assert "--reason" in capsys.readouterr().err
    assert run([*add, "--rpeak-tflops", "20", "--correct-peak", "1", "--reason", "two sockets"]) == 0
    assert run(["inventory", "show", "alpha", *where]) == 0
    shown = capsys.readouterr().out
    assert "corrected by 2" in shown
    assert "two sockets" in shown


@pytest.mark.parametrize(
    "options",
    [
        ["--rpeak-tflops", "nan"],
        ["--rpeak-tflops", "-1"],
        ["--rpeak-tflops", "1e400"],
        ["--set", "cores=many"],
        ["--set", "colour=red"],
        ["--set", "status=broken"],
        ["--query-date", "May 2024"],
        ["--precision", "fp65"],
        ["--sector", "zoo"],
        ["--correct-peak", "1"],
        ["--withdraw", "7", "--reason", "x"],
    ],
)
def test_add_refuses_what_makes_no_sense(tmp_path, capsys, options):
    where = ["--inventory", str(tmp_path / "i.db")]
    run(["inventory", "init", *where])
    add = ["inventory", "add", *where, "--organisation", "NTU", "--machine", "alpha", "--source", "a page"]
    assert run([*add, *options]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert run(["inventory", "list", *where, "--json"]) == 0
    assert '"in_inventory": 0' in capsys.readouterr().out


def test_a_summary_as_json_starts_without_what_it_does_not_need(tmp_path):
    """Half of the command's time is starting: tables for the terminal, the audit and spreadsheets are loaded where they are used."""
    where = str(tmp_path / "i.db")
    with Inventory(where) as inventory:
        inventory.init()
    code = (
        "import sys; from flopbench.cli import run\n"
        f"assert run(['inventory', 'summary', '--json', '--inventory', {where!r}]) == 0\n"
        "loaded = {'rich.console', 'numpy', 'openpyxl', 'flopbench.inventory.audit', 'flopbench.inventory.submit'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
