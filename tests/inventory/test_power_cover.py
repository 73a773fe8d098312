"""What a power was read of stands beside it everywhere, and only powers at the wall, or published ones, rank by GFLOPS/W."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from records import hpl_record
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from flopbench.cli import run
from flopbench.inventory import history, page, summary
from flopbench.inventory.entries import Entering
from flopbench.inventory.exchange import forms
from flopbench.inventory.model import MachineFacts, MeasurementFacts, OrganisationFacts, Provenance
from flopbench.inventory.overview import machine_rows
from flopbench.inventory.store import Inventory
from flopbench.inventory.submit import Submission, submit
from flopbench.results import Energy

NOW = datetime(2026, 11, 3, tzinfo=UTC)


def energy(cover: list[str], power_w: float) -> Energy:
    level = "level 1" if cover == ["wall"] else "none: component energy"
    return Energy(joules=60 * power_w, mean_power_w=power_w, idle_power_w=None, flops_per_watt=1e12 / power_w,
                  cover=cover, level=level, missing=[], meters=[])  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def inventory(request, tmp_path):
    """`wall` at 10 GFLOPS/W, `parts` by RAPL at 40, `node` by its own sensor at 20, `listed` as published at 5."""
    where = str(tmp_path / "i.db") if request.param == "sqlite" else request.getfixturevalue("postgres")
    with Inventory(where) as opened:
        opened.init()
        for name, cover, power in (("wall", ["wall"], 100), ("parts", ["package", "dram"], 25), ("node", ["node"], 50)):
            record = hpl_record(rmax=1e12, energy=energy(cover, power))
            (outcome,) = submit(opened, [Submission(record, "run.json", "NTU", name)], NOW)
            assert outcome.what == "filed"
            assert f"kW of {', '.join(sorted(cover))}" in outcome.summary
        with opened.writing() as connection:
            book = Entering(connection, Provenance("a list"), "2026-11-02T00:00:00Z")
            machine = book.machine(book.organisation(OrganisationFacts("NTU")), MachineFacts("listed"))
            book.measurement(machine, MeasurementFacts("listed", "lu", "fp64", 1e12, power_w=200.0))
        yield opened


def test_components_and_node_sensors_have_no_rank_by_gflops_per_watt(inventory):
    with inventory.reading() as connection:
        found = summary.ranking(connection, "gflops-per-watt", limit=20)
        by_rmax = summary.ranking(connection, "rmax")
    assert [row.name for row in found.rows] == ["wall", "listed"]
    assert found.ranked == 2
    assert [(row.name, row.cover) for row in found.apart] == [("parts", "dram, package"), ("node", "node")]
    assert (by_rmax.ranked, by_rmax.apart) == (4, [])


def test_the_list_says_what_each_power_covers(inventory, capsys):
    where = inventory.url.render_as_string(hide_password=False) if not inventory.is_sqlite else inventory.name
    assert run(["inventory", "list", "--by", "gflops-per-watt", "--inventory", where]) == 0
    out = capsys.readouterr().out
    assert "not ranked: parts (NTU), 40.000 GFLOPS/W by the power of dram, package, not at the wall" in out
    assert run(["inventory", "list", "--inventory", where]) == 0
    out = capsys.readouterr().out
    assert "40.000*" in out
    assert "* parts: power of dram, package, not at the wall" in out
    assert "10.000*" not in out
    assert run(["inventory", "list", "--by", "gflops-per-watt", "--json", "--inventory", where]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [m["power_cover"] for m in shown["machines"]] == ["wall", None]
    assert [m["power_cover"] for m in shown["not_ranked_below_the_wall"]] == ["dram, package", "node"]
    assert run(["inventory", "show", "parts", "--inventory", where]) == 0
    assert "power 0.025 kW, of dram, package" in capsys.readouterr().out


def test_forms_give_no_power_of_components_as_that_of_the_machine(inventory):
    with inventory.reading() as connection:
        rows = machine_rows(connection)
        assert history.machine(connection, "parts")["measurements"][0]["power_cover"] == "dram, package"
    power, per_watt = forms.TOP500.index("Power (kW)"), forms.TOP500.index("Energy Efficiency [GFlops/Watts]")
    cells = {line[1]: (line[power], line[per_watt]) for line in forms.top500(rows)[1:]}
    assert cells == {"wall": (0.1, 10.0), "parts": (None, None), "node": (None, None), "listed": (0.2, 5.0)}
    national = {line[1]: line[7] for line in forms.national(rows, "en", full=False)[2:]}
    assert national == {"wall": 0.1, "parts": None, "node": None, "listed": 0.2}
    full = {line[1]: line[-1] for line in forms.national(rows, "en", full=True)[2:]}
    assert full == {
        "wall": "0.1 kW of wall",
        "parts": "0.025 kW of dram, package",
        "node": "0.05 kW of node",
        "listed": None,
    }


def test_the_page_marks_them_and_leaves_them_out_of_its_order(inventory):
    with inventory.reading() as connection:
        html = page.render(page.contents(connection), NOW)
    assert '<td class="n" data-sort="">40.000 <span class="soft">(dram, package)</span></td>' in html
    assert '<td class="n" data-sort="">0.025 kW <span class="soft">(dram, package)</span></td>' in html
    assert '<td class="n" data-sort="10000000000.0">10.000</td>' in html


def test_an_older_inventory_learns_the_cover_from_its_records(inventory):
    """As an inventory of the step before was: no such column; what was filed then is filled in, and facts stay closed."""
    with inventory.writing() as connection:
        connection.execute(text("DELETE FROM schema_steps WHERE step = 4"))
        if inventory.is_sqlite:
            for name in ("measurements_best_corrected", "measurements_best_filed"):
                connection.execute(text(f"DROP TRIGGER {name}"))
        for table in ("best_rates", "measurements"):
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN power_cover"))
        if inventory.is_sqlite:  # best.py takes the triggers of the old step away
            for name in ("measurements_best_corrected", "measurements_best_filed"):
                connection.execute(text(f"CREATE TRIGGER {name} AFTER INSERT ON measurements BEGIN SELECT 1; END"))
    assert inventory.init() == ["power cover"]
    with inventory.reading() as connection:
        covers = {row.name: row.best.power_cover for row in machine_rows(connection)}
    assert covers == {"wall": "wall", "parts": "dram, package", "node": "node", "listed": None}
    with pytest.raises(DatabaseError, match="never changed"), inventory.writing() as connection:
        connection.execute(text("UPDATE measurements SET power_cover = 'wall'"))
