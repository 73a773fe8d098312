"""Reports give the rate per watt beside what it covers, from records alone."""

import msgspec
import pytest
from report.record_fixtures import gemm_record, lu_record

from flopbench.report import energy as report
from flopbench.report.assemble import assemble
from flopbench.report.html import to_html
from flopbench.report.markdown import to_markdown
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


@pytest.mark.parametrize("make", [lu_record, gemm_record], ids=["lu", "gemm"])
def test_markdown_has_the_column_in_every_row_and_the_cover_below(make):
    text = to_markdown(assemble([make(energy=ENERGY), make(n=2000)]))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    (start,) = [number for number, line in enumerate(lines) if "per watt" in line]
    table = lines[start : start + 4]
    place = [cell.strip() for cell in table[0].split("|")].index("per watt")
    assert {line.count("|") for line in table} == {table[0].count("|")}
    assert {line.split("|")[place].strip() for line in table[2:]} == {"4.500 GFLOPS/W", "-"}
    assert "covers dram, package; level: none: component energy" in text
    assert "too short" in text


@pytest.mark.parametrize("make", [lu_record, gemm_record], ids=["lu", "gemm"])
def test_the_page_has_the_column_the_cover_and_the_warning(make):
    text = to_html(assemble([make(energy=ENERGY)]))
    assert ">per watt</th>" in text
    assert ">4.500 GFLOPS/W</td>" in text
    assert "covers dram, package; level: none: component energy" in text
    assert "too short" in text


def test_a_reason_for_no_energy_is_told_in_markdown_and_on_the_page():
    report_of = assemble([lu_record(energy_reason="no meter: RAPL <denied>")])
    assert "energy: none: no meter: RAPL" in to_markdown(report_of)
    assert "no meter: RAPL &lt;denied&gt;" in to_html(report_of)


def test_what_a_meter_is_called_becomes_no_markup():
    nasty = msgspec.structs.replace(ENERGY, cover=["<script>"], warnings=["<script>alert(1)</script>|"])
    report_of = assemble([lu_record(energy=nasty)])
    assert "<script" not in to_html(report_of)
    assert "<script" not in to_markdown(report_of).replace("\\<", "")


def test_the_summary_says_power_idle_power_cover_and_level():
    text = " ".join(text for _, text in report.rows(lu_record(energy=ENERGY)))
    for word in ("GFLOPS/W", "200", "60", "dram, package", "none: component energy"):
        assert word in text


def test_the_reason_for_no_energy_is_told():
    assert report.rows(lu_record(energy_reason="no meter: RAPL")) == [("energy", "none: no meter: RAPL")]
