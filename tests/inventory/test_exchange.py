"""Files come in as they are: the national form, lists of every age, sector tables; what was repaired is said."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from flopbench.cli import run
from flopbench.errors import BadInput
from flopbench.inventory import exporting, importing, overview
from flopbench.inventory.exchange import columns, numbers, sheets
from flopbench.inventory.exchange.grid import clean
from flopbench.inventory.store import Inventory

REPORT = Path(__file__).parent / "report"
NOW = datetime(2026, 11, 3, tzinfo=UTC)


def read(tmp_path: Path, text: str | bytes, name: str = "list.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return importing.read(path)


@pytest.fixture
def inventory(tmp_path: Path):
    with Inventory(str(tmp_path / "inventory.sqlite3")) as opened:
        opened.init()
        yield opened


def rows_of(inventory):
    with inventory.reading() as connection:
        return overview.machine_rows(connection)


def test_the_reports_own_form_is_read_with_its_heading_over_two_rows():
    found = importing.read(REPORT / "appendix-2.csv")
    (entry,) = found.entries
    assert found.form == "national"
    assert entry.machine.cores == 184_320
    assert entry.machine.cpu == "A64FX 48C 2.2GHz"
    assert entry.peaks[0].flops == 12_980e12
    assert entry.measurement.rmax_flops == 11_160e12
    assert entry.machine.site_power_w == 673_560
    assert entry.source == "https://top500.org/system/180216/"
    assert (entry.machine.os, entry.machine.use) == (None, "氣象用")
    assert any("read as the use" in note for note in found.notes)


def test_an_operating_system_in_its_cell_stays_one(tmp_path):
    text = (REPORT / "appendix-2.csv").read_text().replace("氣象用", "Red Hat Enterprise Linux")
    (entry,) = read(tmp_path, text).entries
    assert (entry.machine.os, entry.machine.use) == ("Red Hat Enterprise Linux", None)


def test_a_merged_heading_of_a_workbook_is_read_as_in_csv(tmp_path, inventory):
    importing.enter(inventory, importing.read(REPORT / "appendix-2.csv"), "the report", NOW)
    out = tmp_path / "form.xlsx"
    exporting.export(inventory, None, out, None, "national", "zh", False)
    page = openpyxl.load_workbook(out).active
    assert page["A3"].value == "中央氣象署"
    assert page["D3"].value == 12980
    assert "C1:F1" in [str(area) for area in page.merged_cells.ranges]
    (entry,) = importing.read(out).entries
    assert entry.peaks[0].flops == 12_980e12
    assert entry.machine.cores == 184_320


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_what_was_exported_comes_back_the_same(tmp_path, inventory, language, suffix):
    for name in ("table-3.4", "appendix-2"):
        importing.enter(inventory, importing.read(REPORT / f"{name}.csv", None, "2024-06"), "the report", NOW)
    out = tmp_path / f"form.{suffix}"
    paths = (out, None) if suffix == "csv" else (None, out)
    exporting.export(inventory, *paths, None, "national", language, True)
    with Inventory(str(tmp_path / "second.sqlite3")) as second:
        second.init()
        importing.enter(second, importing.read(out), "again", NOW)
        before, after = rows_of(inventory), rows_of(second)
    figures = [
        [
            (r.organisation, r.name, r.rmax, r.rpeak, r.facts["cores"], r.facts["site_power_w"], r.facts["use"])
            for r in rows
        ]
        for rows in (before, after)
    ]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("form", ["top500", "green500"])
def test_an_exported_list_is_a_list_again(tmp_path, inventory, form):
    importing.enter(inventory, importing.read(REPORT / "table-3.4.csv", None, "2024-06"), "the report", NOW)
    out = tmp_path / "list.csv"
    exporting.export(inventory, out, None, None, form, "zh", False)
    found = importing.read(out)
    assert found.form == form
    rates = [e.measurement.rmax_flops for e in found.entries]
    if form == "top500":
        assert rates == sorted(rates, reverse=True)
        assert len(rates) == 6
    else:
        assert len(rates) == 5, "a system without power has no place in it"


def test_a_file_is_imported_once(inventory):
    found = importing.read(REPORT / "table-3.4.csv")
    assert importing.enter(inventory, found, "the report", NOW).rows == 6
    assert not importing.enter(inventory, found, "the report", NOW).new
    assert len(rows_of(inventory)) == 6


TOP500_HEAD = "Rank,Name,Computer,Site,Country,Year,Total Cores,{rmax},{rpeak},{power},{efficiency}\n"
TOP500_ROW = "1,Alpha,Cray X 1,Site A,Taiwan,2012,1000,{rmax},{rpeak},40,{efficiency}\n"


@pytest.mark.parametrize(
    ("heads", "cells"),
    [
        (("RMax", "RPeak", "Power", "Mflops/Watt"), ("8000", "10000", "200")),
        (("Rmax", "Rpeak", "Power", "Mflops/Watt"), ("8000", "10000", "200")),
        (("Rmax [TFlop/s]", "Rpeak [TFlop/s]", "Power (kW)", "Power Effeciency [GFlops/Watts]"), ("8", "10", "0.2")),
        (("Rmax [TFlop/s]", "Rpeak [TFlop/s]", "Power (kW)", "Energy Efficiency [GFlops/Watts]"), ("8", "10", "0.2")),
        (("Rmax [PFlop/s]", "Rpeak (TFLOPS)", "Power (MW)", "Power Efficiency [GFlops/Watts]"), ("0.008", "10", "0.2")),
        (("Rmax", "Rpeak", "Power", "Energy Efficiency"), ("8 TFLOPS", "10,000", "0.2")),
    ],
)
def test_units_and_headings_drift_over_the_years_and_figures_do_not(tmp_path, heads, cells):
    head = TOP500_HEAD.format(rmax=heads[0], rpeak=heads[1], power=heads[2], efficiency=heads[3])
    rmax, rpeak, efficiency = cells
    row = TOP500_ROW.format(rmax=rmax, rpeak=f'"{rpeak}"', efficiency=efficiency)
    if "MW" in heads[2]:
        row = row.replace(",40,", ",0.04,")
    found = read(tmp_path, head + row)
    (entry,) = found.entries
    assert found.form == "top500"
    assert entry.measurement.rmax_flops == pytest.approx(8e12)
    assert entry.peaks[0].flops == pytest.approx(10e12)
    assert entry.measurement.power_w == pytest.approx(40e3)
    assert entry.measurement.flops_per_watt == pytest.approx(2e8)


def test_a_blank_first_row_is_passed_over(tmp_path):
    head = TOP500_HEAD.format(rmax="RMax", rpeak="RPeak", power="Power", efficiency="Mflops/Watt")
    found = read(tmp_path, "\n" + head + TOP500_ROW.format(rmax=1, rpeak=2, efficiency=3))
    assert len(found.entries) == 1


def test_a_green500_file_has_its_own_rank_first(tmp_path):
    text = "Rank,TOP500 Rank,Name,Site,Rmax [TFlop/s],Power (kW),Power Source,Power Source\n5,77,Alpha,Here,10,20,a,b\n"
    found = read(tmp_path, text)
    assert found.form == "green500"
    assert [c.field for c in found.heading.columns[:2]] == ["green_rank", "rank"]


def test_xml_is_in_gflops_where_excel_has_tflops(tmp_path):
    text = """<?xml version="1.0"?>
    <top500:list xmlns:top500="http://www.top500.org/xml/top500/1.0" date="2011-06">
      <top500:site><top500:rank>1</top500:rank><top500:system-name>Alpha</top500:system-name>
        <top500:computer>Cray</top500:computer><top500:r-max>8000</top500:r-max><top500:r-peak>10000</top500:r-peak>
        <top500:power>40</top500:power><top500:number-of-processors>1000</top500:number-of-processors>
        <top500:installation-site><top500:installation-site-name>Here &amp; there</top500:installation-site-name>
        </top500:installation-site><top500:country>Taiwan</top500:country><top500:year>2011</top500:year>
      </top500:site></top500:list>"""
    found = read(tmp_path, text, "TOP500_201106_all.xml")
    (entry,) = found.entries
    assert entry.measurement.rmax_flops == 8e12
    assert entry.organisation.name == "Here & there"
    assert found.edition == "2011-06"


def test_xml_with_entities_is_refused(tmp_path):
    bomb = '<?xml version="1.0"?><!DOCTYPE list [<!ENTITY a "aaaa">]><list><site><rank>&a;</rank></site></list>'
    with pytest.raises(BadInput, match="entities"):
        read(tmp_path, bomb, "list.xml")


SPLIT = 'Rank:Name:Computer:"Processor Generation":"System Model":Rmax:Rpeak:Country\n'


@pytest.mark.parametrize(
    ("row", "joined"),
    [
        ('1:Titan:"Cray XK7":"Opteron 6200 Series ":"Interlagos""":"Cray XK7 ":10:20:US\n', ["Interlagos"]),
        (
            '1:Cielo:"Cray XE6":"Opteron 6100-series ":"Magny-Cours"":,""":Cray:"XE6""":10:20:US\n',
            ["Magny-Cours", "XE6"],
        ),
        (
            '1:ALPS:Acer:"Opteron 6100-series ":"Magny-Cours"":,""":Acer:AR585:F1:"Cluster""":10:20:TW\n',
            ["Magny-Cours", "Acer AR585 F1 Cluster"],
        ),
    ],
)
def test_fields_that_a_quotation_mark_split_are_joined_and_named(tmp_path, row, joined):
    found = read(tmp_path, SPLIT + row)
    (entry,) = found.entries
    assert entry.measurement.rmax_flops == 10e9
    assert entry.machine.country in ("US", "TW")
    notes = " ".join(entry.notes)
    assert all(text in notes for text in joined)


def test_a_row_that_nothing_explains_is_unreadable_and_holds_back_the_file(tmp_path, inventory):
    found = read(tmp_path, SPLIT + "1:A:B:C:D:10:20:US\n2:A:B:C:D:E:10:20:US\n3:A:B\n")
    assert [u.line for u in found.unreadable] == [3, 4]
    with pytest.raises(BadInput, match="nothing was imported"):
        importing.enter(inventory, found, "x", NOW)
    assert rows_of(inventory) == []
    assert importing.enter(inventory, found, "x", NOW, keep_going=True).rows == 1


@pytest.mark.parametrize(("encoding", "note"), [("big5", "Big5"), ("utf-8-sig", None), ("utf-16", "UTF-16")])
def test_encodings_of_taiwan_are_recognised(tmp_path, encoding, note):
    text = (REPORT / "appendix-2.csv").read_text()
    found = read(tmp_path, text.encode(encoding), "form.csv")
    assert found.entries[0].organisation.name == "中央氣象署"
    assert note is None or any(note in said for said in found.notes)


def test_latin1_is_not_taken_for_big5(tmp_path):
    text = "Rank;Name;Site;Rmax;Rpeak\n1;A;Calcul Québec;1;2\n2;B;Universität Köln;1;2\n3;C;Jülich;1;2\n"
    found = read(tmp_path, text.encode("latin-1"))
    assert [e.organisation.name for e in found.entries] == ["Calcul Québec", "Universität Köln", "Jülich"]


def test_a_total_row_is_no_machine(tmp_path):
    text = "Rank,Name,Site,Rmax [TFlop/s],Rpeak [TFlop/s]\n1,A,X,1,2\n2,B,Y,1,2\n,Total,,2,4\n"
    assert len(read(tmp_path, text).entries) == 2


def test_the_sector_table_keeps_its_shares(inventory):
    found = importing.read(REPORT / "table-3.1.csv")
    assert [r.label for r in found.sectors] == ["學校", "醫院", "政府機構 (含 Taipei-1)", "小計"]
    assert found.sectors[0].totals["fp64_total"].value == 4358.36
    assert found.sectors[0].shares["fp64_share"].value == 4.95
    assert found.sectors[-1].is_total


@pytest.mark.parametrize(
    ("text", "value", "step"),
    [
        ("12,980", 12980, 1),
        ("4.50", 4.5, 0.01),
        ("１２．５", 12.5, 0.1),
        ("1.435e5", 143500, 100),
        ("-", None, None),
        ("", None, None),
        ("無", None, None),
        ("—", None, None),
    ],
)
def test_figures_are_read_with_the_place_they_are_printed_to(text, value, step):
    found = numbers.figure(text)
    if value is None:
        assert found is None
    else:
        assert (found.value, found.step) == (pytest.approx(value), pytest.approx(step))


@pytest.mark.parametrize("text", ["nan", "inf", "1e400", "1,23", "abc", "1..2", "٣٤x", "=1+1", "9" * 400])
def test_what_is_no_figure_is_an_error_not_a_guess(text):
    with pytest.raises(ValueError, match=r"is (not a number|beyond)|has the unit"):
        numbers.quantity(text, numbers.RATES, 1e12)


def test_673_56_kw_is_a_power():
    assert numbers.quantity("673.56 kw", numbers.POWERS, None).value == pytest.approx(673_560)


@given(st.text(max_size=40))
def test_reading_a_figure_never_fails_otherwise(text):
    try:
        found = numbers.figure(text)
    except ValueError:
        return
    assert found is None or abs(found.value) <= numbers.LARGEST


@given(st.text(max_size=60))
def test_no_cell_that_is_written_starts_a_formula_and_it_comes_back(text):
    text = clean(text)
    out = sheets.harmless(text)
    assert not out.startswith(("=", "+", "-", "@"))
    assert clean(out) == clean(text)


def test_no_formula_is_written_into_csv_or_xlsx(tmp_path):
    bad = '=HYPERLINK("http://x","y")'
    rows = [["a", "b"], [bad, 1.5], ["@SUM(A1)", 2], ["+1", 3], ["-2+3", 4]]
    raw = sheets.to_csv(rows).decode("utf-8-sig")
    assert all(line[:1] not in "=+-@" and not line.startswith(('"=', '"@')) for line in raw.splitlines() if line)
    page = openpyxl.load_workbook(io.BytesIO(sheets.to_xlsx(rows, 1))).active
    assert [page.cell(r, 1).data_type for r in range(2, 6)] == ["s"] * 4
    assert page["A2"].value == bad


def test_every_heading_stands_for_one_field():
    assert len(columns.fields_by_heading()) > 60


def test_import_through_the_command_names_repairs_and_json(tmp_path, capsys):
    where = ["--inventory", str(tmp_path / "i.db")]
    run(["inventory", "init", *where])
    capsys.readouterr()
    assert run(["inventory", "import", str(REPORT / "appendix-2.csv"), *where, "--source", "the report", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["imports"]
    assert found["entered"] == 1
    assert any("read as the use" in note for note in found["repaired"])


@pytest.mark.parametrize(
    ("name", "repaired", "first"),
    [
        ("199306", 0, 59.7e9),
        ("200711", 0, 478.2e12),
        ("201106", 0, 8.162e15),
        ("201406", 32, 33.8627e15),
        ("201811", 2, 143.5e15),
    ],
)
def test_the_real_lists_import_as_they_are(tmp_path, inventory, name, repaired, first):
    found = importing.read(shared("data", "top500", f"TOP500_{name}.csv"))
    assert len(found.entries) == 500
    assert found.unreadable == []
    assert sum(any("split by a quotation mark" in n for n in e.notes) for e in found.entries) == repaired
    assert importing.enter(inventory, found, "top500.org", NOW).rows == 500
    rows = rows_of(inventory)
    assert len(rows) == 500
    assert rows[0].rmax == first
    ranks = [line.cells[0] for line in found.grid.lines[1:]]
    assert ranks == [str(n) for n in range(1, 501)]
