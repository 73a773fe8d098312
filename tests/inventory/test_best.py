"""The kept table of best rates always equals what the measurements give, whatever is filed, corrected, withdrawn or listed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import hpl_record
from sqlalchemy import select, text

from flopbench.inventory import best, migrations, overview, schema, summary
from flopbench.inventory.audit import audit
from flopbench.inventory.entries import Entering
from flopbench.inventory.model import (
    STANDINGS,
    MachineFacts,
    MeasurementFacts,
    OrganisationFacts,
    PeakFacts,
    Provenance,
)
from flopbench.inventory.store import Inventory
from flopbench.inventory.submit import Submission, submit

STAMP = "2026-11-02T00:00:00Z"
NOW = datetime(2026, 11, 3, tzinfo=UTC)
MACHINES = 3
GROUP = ("machine_id", "routine", "precision", "standing")

rates = st.sampled_from([1e12, 2e12, 2e12 + 1, 3e12])  # few, so that equal rates and lost leads are common
filings = st.tuples(
    st.just("file"), st.integers(0, MACHINES - 1), st.sampled_from(STANDINGS), st.sampled_from(["lu", "gemm"]),
    st.sampled_from(["fp64", "fp32"]), rates,
)  # fmt: skip
corrections = st.tuples(st.just("correct"), st.integers(0, 30), st.sampled_from(STANDINGS), st.none() | rates)
states = st.tuples(st.just("state"), st.integers(0, MACHINES - 1), st.sampled_from(["planned", "running", "retired"]))
peaks = st.tuples(
    st.just("peak"), st.integers(0, MACHINES - 1), rates, st.booleans(), st.sampled_from(["fp64", "fp32"])
)
histories = st.lists(st.one_of(filings, filings, corrections, states, peaks), max_size=25)


def enter(connection, history) -> None:
    """Play `history` into an empty inventory; a correction of nothing is passed over."""
    book = Entering(connection, Provenance("a test", reason="a test"), STAMP)
    owner = book.organisation(OrganisationFacts("NTU", "university"))
    machines = [book.machine(owner, MachineFacts(f"machine {number}")) for number in range(MACHINES)]
    newest: list[tuple[int, int]] = []  # machine and measurement of each row that can still be corrected
    peak: dict[int, int] = {}
    for step in history:
        if step[0] == "file":
            _, machine, standing, routine, precision, rate = step
            facts = MeasurementFacts(standing, routine, precision, rate, measured_on=STAMP)
            newest.append((machines[machine], book.measurement(machines[machine], facts)))
        elif step[0] == "correct" and newest:
            _, which, standing, rate = step
            machine, old = newest.pop(which % len(newest))
            newest.append((machine, book.measurement(machine, MeasurementFacts(standing, "lu", "fp64", rate), old)))
        elif step[0] == "state":
            book.machine_version(machines[step[1]], MachineFacts(f"machine {step[1]}", status=step[2]))
        elif step[0] == "peak":
            _, machine, rate, correct, precision = step
            corrects = peak.get(machine) if correct else None
            new = book.peak(machines[machine], PeakFacts(precision, rate, f"after {len(newest)}"), corrects)
            peak[machine] = new or peak[machine]


def recomputed(connection) -> dict[tuple, tuple]:
    """The best measurement of each group, by looking at all of them in turn."""
    rows = connection.execute(select(schema.measurements).order_by(schema.measurements.c.id)).mappings().all()
    corrected = {row["corrects"] for row in rows}
    found: dict[tuple, tuple] = {}
    for row in rows:
        group = tuple(row[name] for name in GROUP)
        if row["rmax_flops"] is not None and row["id"] not in corrected:
            found[group] = max(found.get(group, (0.0, 0)), (row["rmax_flops"], row["id"]))
    return found


def kept(connection) -> dict[tuple, tuple]:
    rows = connection.execute(select(schema.best_rates)).mappings()
    return {tuple(r[name] for name in GROUP): (r["rmax_flops"], r["measurement_id"]) for r in rows}


def newest_peaks(connection) -> dict[tuple, float]:
    """The last peak of each machine and precision that no other corrects, by looking at all of them in turn."""
    rows = connection.execute(select(schema.peaks).order_by(schema.peaks.c.id)).all()
    corrected = {row.corrects for row in rows}
    return {(row.machine_id, row.precision): row.flops for row in rows if row.id not in corrected}


def check_shown(connection) -> None:
    """What list and summary show follows from the recomputed rates and peaks, in plain Python."""
    of, peak = recomputed(connection), newest_peaks(connection)
    rows = overview.machine_rows(connection)
    shown = {(r.machine_id, p): f for r in rows for p, f in (("fp64", r.fp64_peak), ("fp32", r.fp32_peak)) if f}
    assert shown == peak
    for row in rows:
        mine = {s: of[row.machine_id, "lu", "fp64", s] for s in STANDINGS if (row.machine_id, "lu", "fp64", s) in of}
        expected = max(mine, key=lambda s: (mine[s][0], -STANDINGS.index(s)), default=None)
        assert (row.best.standing if row.best else None) == expected
        assert (row.best.measurement_id if row.best else None) == (mine[expected][1] if expected else None)
    running = [row for row in rows if row.status == "running"]
    ranked = sorted((r for r in running if r.best), key=lambda r: (-r.rmax, r.machine_id))
    assert summary.ranking(connection, "rmax", limit=2) == summary.Ranking(ranked[:2], len(ranked), len(rows))
    proven = [r.machine_id for r in running if (r.machine_id, "lu", "fp64", "verified") in of]
    assert sorted(r.machine_id for r in summary.ranking(connection, "rmax", "fp64", True).rows) == proven
    total = summary.by(connection, "sector").total
    counted = [r for r in running if (r.rpeak or r.rmax or 0) >= 1e12]
    assert (total.machines, total.measured) == (len(counted), sum(r.best is not None for r in counted))
    assert total.rmax == pytest.approx(sum(r.rmax or 0 for r in counted))
    assert total.verified == sum(r.machine_id in proven for r in counted)


@pytest.fixture(params=["sqlite", "postgresql"])
def inventory(request, tmp_path):
    where = str(tmp_path / "i.db") if request.param == "sqlite" else request.getfixturevalue("postgres")
    with Inventory(where) as opened:
        opened.init()
        yield opened


class Undone(Exception):
    """Ends a transaction so that the next history starts from nothing."""


def test_the_kept_rates_are_the_recomputed_ones_after_any_history(inventory):
    @settings(max_examples=50, deadline=None, database=None)
    @given(history=histories)
    def any_history(history):
        with pytest.raises(Undone), inventory.writing() as connection:
            enter(connection, history)
            assert kept(connection) == recomputed(connection)
            assert best.wrong(connection) == []
            check_shown(connection)
            raise Undone

    any_history()


def test_a_peak_that_was_corrected_into_another_precision_gives_way_to_the_one_before_it(inventory):
    history = [("peak", 0, 1e12, False, "fp64"), ("peak", 0, 2e12, False, "fp64"), ("peak", 0, 3e12, True, "fp32")]
    with inventory.writing() as connection:
        enter(connection, history)
        row = overview.machine_rows(connection)[0]
    assert (row.fp64_peak, row.fp32_peak) == (1e12, 3e12)


def test_of_equal_rates_the_one_entered_last_is_kept(inventory):
    with inventory.writing() as connection:
        enter(connection, [("file", 0, "verified", "lu", "fp64", 2e12), ("file", 0, "verified", "lu", "fp64", 2e12)])
        ids = list(connection.execute(select(schema.measurements.c.id).order_by(schema.measurements.c.id)).scalars())
        (machine,) = connection.execute(select(schema.measurements.c.machine_id).distinct()).scalars()
        assert kept(connection) == {(machine, "lu", "fp64", "verified"): (2e12, ids[-1])}


def test_an_older_inventory_gets_its_best_rates_when_it_is_brought_up_to_date(tmp_path):
    history = [("file", 0, "verified", "lu", "fp64", 2e12), ("file", 0, "foreign", "lu", "fp64", 3e12)]
    history += [
        ("file", 1, "listed", "lu", "fp64", 1e12),
        ("correct", 1, "foreign", 1e12),
        ("correct", 0, "listed", None),
    ]
    with Inventory(str(tmp_path / "old.db")) as inventory:
        with inventory.writing() as connection:
            migrations.migrate(connection, STAMP, "0.1.0", target=2)
            enter(connection, history)
        assert inventory.init() == ["best rates", "power cover"]
        with inventory.reading() as connection:
            assert len(kept(connection)) == 2
            assert kept(connection) == recomputed(connection)


def test_two_filings_for_one_machine_at_once_leave_the_right_rate(postgres):
    """One withdraws the best rate while the other files a lower one: whichever is first, the lower one is what is kept."""
    with Inventory(postgres) as inventory:
        inventory.init()
        with inventory.writing() as connection:
            enter(connection, [("file", 0, "verified", "lu", "fp64", 3e12)])
            machine, high = connection.execute(select(schema.measurements.c.machine_id, schema.measurements.c.id)).one()

        def enter_rate(connection, rate, corrects=None):
            book = Entering(connection, Provenance("a test", reason="a test"), STAMP)
            return book.measurement(machine, MeasurementFacts("verified", "lu", "fp64", rate), corrects)

        def withdraw():
            with inventory.writing() as connection:
                enter_rate(connection, None, high)

        with inventory.writing() as connection:
            low = enter_rate(connection, 1e12)
            other = threading.Thread(target=withdraw)
            other.start()
            other.join(0.3)  # long enough for it to get to the row that this transaction holds
        other.join()
        with inventory.reading() as connection:
            assert kept(connection) == recomputed(connection)
            assert kept(connection)[machine, "lu", "fp64", "verified"] == (1e12, low)


def test_a_kept_rate_that_was_tampered_with_is_a_finding(inventory):
    submit(inventory, [Submission(hpl_record(), "run.json", "NTU", "alpha")], NOW)
    with inventory.reading() as connection:
        assert audit(connection) == []
    with inventory.writing() as connection:
        connection.execute(text("UPDATE best_rates SET rmax_flops = 0.99 * rmax_flops"))
    with inventory.reading() as connection:
        (finding,) = audit(connection)
    assert finding.kind == "kept rate"
