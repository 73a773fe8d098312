"""Reports give the rate per watt beside what it covers, from records alone."""

import pytest
from report.record_fixtures import gemm_record, lu_record

from flopbench.report import energy as report
from flopbench.report.rates import gemm_table, lu_table
from flopbench.results import Energy

ENERGY = Energy(
    joules=2000.0,
    mean_power_w=200.0,
    idle_power_w=60.0,
    flops_per_watt=4.5e9,
    cover=["dram", "package"],
    level="none: component energy",
    missing=["level 1: the wall"],
    meters=[],
    warnings=["energy over 2.0 s: too short"],
)


@pytest.mark.parametrize(("make", "table"), [(lu_record, lu_table), (gemm_record, gemm_table)], ids=["lu", "gemm"])
def test_a_table_has_the_column_and_says_what_it_covers(make, table):
    made = table([make(energy=ENERGY)])
    place = [column.heading for column in made.columns].index("per watt")
    assert made.rows[0][place] == "4.500 GFLOPS/W"
    notes = "\n".join(made.notes)
    assert "covers dram, package; level: none: component energy" in notes
    assert "too short" in notes


def test_records_that_were_not_asked_for_energy_have_no_column():
    assert "per watt" not in [column.heading for column in lu_table([lu_record()]).columns]


def test_the_summary_says_power_idle_power_cover_and_level():
    text = " ".join(text for _, text in report.rows(lu_record(energy=ENERGY)))
    for word in ("GFLOPS/W", "200", "60", "dram, package", "none: component energy"):
        assert word in text


def test_the_reason_for_no_energy_is_told():
    assert report.rows(lu_record(energy_reason="no meter: RAPL")) == [("energy", "none: no meter: RAPL")]
