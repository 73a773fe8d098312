"""The audit finds every slip of the source report's tables, and nothing that is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from records import hpl_record
from sqlalchemy import text

from flopbench.cli import run
from flopbench.inventory import importing
from flopbench.inventory.audit import audit
from flopbench.inventory.entries import Entering
from flopbench.inventory.model import MachineFacts, MeasurementFacts, OrganisationFacts, PeakFacts, Provenance
from flopbench.inventory.store import Inventory
from flopbench.inventory.submit import Submission, submit

REPORT = Path(__file__).parent / "report"
NOW = datetime(2026, 11, 3, tzinfo=UTC)
TABLES = {"table-3.1": None, "table-3.4": "2024-06", "table-5.2": "2024-06", "table-5.3": "2024-06", "appendix-2": None}


@pytest.fixture
def inventory(tmp_path: Path):
    with Inventory(str(tmp_path / "inventory.sqlite3")) as opened:
        opened.init()
        yield opened


def enter_report(inventory, tables=TABLES):
    for name, edition in tables.items():
        found = importing.read(REPORT / f"{name}.csv", None, edition)
        importing.enter(inventory, found, "CTCI 2024", NOW, "2024-12", title=name)


def findings(inventory):
    with inventory.reading() as connection:
        return audit(connection)


def of_text(inventory, tmp_path, text, edition="2024-06", name="list.csv"):
    path = tmp_path / name
    path.write_text(text)
    importing.enter(inventory, importing.read(path, None, edition), "a test", NOW)
    return findings(inventory)


#: kind, gravity, first cell (table, text): every slip that recomputing the report's tables by hand gives.
EXPECTED = {
    ("sum", "slip", "table-3.1", "88,088.22 (100%)"),
    ("share", "slip", "table-3.1", "153,575.36 (92.01%)"),
    ("efficiency", "slip", "table-5.2", "72.733"),
    ("efficiency", "slip", "table-5.2", "68.835"),
    ("efficiency", "slip", "table-5.2", "66.948"),
    ("efficiency", "slip", "table-5.2", "62.684"),
    ("efficiency", "slip", "table-5.2", "58.021"),
    ("efficiency", "slip", "table-5.3", "1.07"),
    ("two ranks", "slip", "table-3.4", "456"),
    ("two values", "note", "table-3.4", "674"),
    ("two values", "note", "table-3.4", "798"),
    ("two values", "note", "table-3.4", "615"),
    ("two values", "note", "table-3.4", "564"),
    ("two values", "note", "table-3.4", "2.3"),
    ("misplaced", "note", "appendix-2", "氣象用"),
}


def test_every_slip_of_the_report_is_found_and_nothing_else(inventory):
    enter_report(inventory)
    found = {(f.kind, f.gravity, f.cells[0].document, f.cells[0].text) for f in findings(inventory)}
    assert found == EXPECTED


def test_findings_say_how_far_apart_and_why(inventory):
    enter_report(inventory)
    by_cell = {f.cells[0].text: f for f in findings(inventory)}
    total = by_cell["88,088.22 (100%)"]
    assert total.apart.startswith("80.00")
    assert "88,008.22 was meant" in total.cause
    assert "93.08 %" in total.cause
    assert "92.02 %" in by_cell["153,575.36 (92.01%)"].message
    assert "4.0675" in by_cell["1.07"].message
    assert by_cell["1.07"].cause == "one digit is mistyped"
    assert "673.56 kW in appendix-2" in by_cell["674"].message


def test_each_table_alone_has_only_its_own_slips(tmp_path):
    for name, count in {"table-3.1": 2, "table-3.4": 0, "table-5.2": 5, "table-5.3": 1, "appendix-2": 1}.items():
        with Inventory(str(tmp_path / f"{name}.db")) as inventory:
            inventory.init()
            enter_report(inventory, {name: TABLES[name]})
            assert len(findings(inventory)) == count, name


def test_nothing_is_changed_and_the_exit_code_tells(tmp_path, capsys):
    path = tmp_path / "i.db"
    with Inventory(str(path)) as inventory:
        inventory.init()
        assert run(["inventory", "validate", "--inventory", str(path)]) == 0
        enter_report(inventory)
        with inventory.reading() as connection:
            before = connection.execute(text("SELECT count(*), sum(length(cells)) FROM document_rows")).one()
        capsys.readouterr()
        assert run(["inventory", "validate", "--inventory", str(path), "--json"]) == 1
        assert len(json.loads(capsys.readouterr().out)["findings"]) == len(EXPECTED)
        with inventory.reading() as connection:
            assert connection.execute(text("SELECT count(*), sum(length(cells)) FROM document_rows")).one() == before


HEAD = "Rank,Name,Computer,Site,Total Cores,Accelerator/Co-Processor Cores,Nodes,Cores per node,Rmax [TFlop/s],Rpeak [TFlop/s],Power (kW)\n"
GOOD = "1,Alpha,Xeon 28C 2.5GHz,A,56000,,1000,56,3000,4480,1000\n2,Beta,Xeon 28C 2.5GHz,B,28000,,500,56,1500,2240,500\n"


def test_a_list_without_slips_has_no_findings(inventory, tmp_path):
    assert of_text(inventory, tmp_path, HEAD + GOOD) == []


@pytest.mark.parametrize(
    ("right", "wrong", "kind"),
    [
        ("3000,4480", "4800,4480", "rmax over rpeak"),
        ("3000,4480", "3000,4880", "rpeak"),
        ("3000,4480", "3000,4480000", "unit"),
        ("56000,,1000", "58000,,1000", "cores"),
        ("56000,,1000", "56000,57000,1000", "cores"),
        ("4480,1000", "4480,10", "beyond record"),
        ("2,Beta", "1,Beta", "rank twice"),
        ("1500,2240", "3500,4480", "order"),
        ("2,Beta,Xeon 28C 2.5GHz,B,28000,,500,56,1500,2240,500", "2,Alpha,Xeon 28C 2.5GHz,A,56000,,1000,56,3000,4480,1000",
         "two ranks"),
    ],
)  # fmt: skip
def test_one_wrong_cell_is_found(inventory, tmp_path, right, wrong, kind):
    assert right in GOOD
    assert kind in {f.kind for f in of_text(inventory, tmp_path, HEAD + GOOD.replace(right, wrong, 1))}


def test_every_digit_of_a_total_matters(tmp_path):
    good = "Sector,Organisations counted,FP64 TFLOPS,FP64 share\nschool,2,30.50,61.00%\nhospital,1,19.50,39.00%\nTotal,3,50.00,100%\n"
    for index, (right, wrong) in enumerate(
        [("50.00", "51.00"), ("50.00", "50.10"), ("61.00", "61.01"), (",3,", ",4,")]
    ):
        with Inventory(str(tmp_path / f"{index}.db")) as inventory:
            inventory.init()
            assert of_text(inventory, tmp_path, good, None, f"good{index}.csv") == []
        with Inventory(str(tmp_path / f"{index}w.db")) as inventory:
            inventory.init()
            assert of_text(inventory, tmp_path, good.replace(right, wrong), None, f"wrong{index}.csv")


def test_rounding_alone_is_never_a_finding(inventory, tmp_path):
    """Figures cut to a few digits disagree in the last place only."""
    text = "Green500 Rank,TOP500 Rank,System,Rmax (PFLOPS),Power (kW),Energy Efficiency (GFLOPS/watts)\n"
    systems = [(11.1637, 673.56, 16.574), (5.6049, 350.49, 15.9916), (3.5349, 614.51, 5.7524)]
    rows = [f"{i},{i + 50},S{i},{rmax:.2f},{power:.0f},{eff:.2f}\n" for i, (rmax, power, eff) in enumerate(systems, 1)]
    assert of_text(inventory, tmp_path, text + "".join(rows)) == []


def enter(inventory, machine, *, peak=None, rmax=None, power=None, standing="listed"):
    with inventory.writing() as connection:
        book = Entering(connection, Provenance("a test"), "2026-11-02T00:00:00Z")
        identity = book.machine(book.organisation(OrganisationFacts("NTU")), machine)
        if peak:
            book.peak(identity, PeakFacts("fp64", peak))
        if rmax:
            book.measurement(identity, MeasurementFacts(standing, "lu", "fp64", rmax, power_w=power))


@pytest.mark.parametrize(
    ("facts", "figures", "kind"),
    [
        ({}, {"peak": 1e12, "rmax": 2e12}, "rmax over rpeak"),
        ({"cores": 100, "nodes": 2, "cores_per_node": 48}, {}, "cores"),
        ({"status": "planned"}, {"rmax": 1e12}, "status"),
        ({}, {"rmax": 1e15, "power": 1e3}, "beyond record"),
    ],
)
def test_entered_machines_are_audited_too(inventory, facts, figures, kind):
    enter(inventory, MachineFacts(name="alpha", **facts), **figures)
    assert [f.kind for f in findings(inventory)] == [kind]


def test_one_machine_under_two_names_is_doubted(inventory):
    for name in ("alpha", "alpha cluster"):
        enter(inventory, MachineFacts(name=name), peak=2e12, rmax=1e12)
    assert [f.kind for f in findings(inventory)] == ["duplicate"]


def test_a_filed_record_has_no_findings_until_somebody_changes_the_database(inventory):
    submit(inventory, [Submission(hpl_record(), "run.json", "NTU", "alpha")], NOW)
    assert findings(inventory) == []
    with inventory.writing() as connection:
        connection.execute(text("DROP TRIGGER records_no_update"))
        connection.execute(text("UPDATE records SET document = replace(document, 'node01', 'node02')"))
    assert [f.kind for f in findings(inventory)] == ["altered record"]
