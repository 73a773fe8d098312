"""Reports say what the records say, in every form, and nothing that a record contains can do more than be read."""

from __future__ import annotations

import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from rich.console import Console

from flopbench import results
from flopbench.cli import run
from flopbench.report import rates, scale
from flopbench.report.assemble import assemble, charts, read_records
from flopbench.report.content import Bar, Bars, Column, Line, Lines, Table
from flopbench.report.facts import references
from flopbench.report.html import to_html
from flopbench.report.markdown import escape, to_markdown
from flopbench.report.plots import _draw_bars
from flopbench.report.svg import chart
from flopbench.report.terminal import print_report, print_table

sys.path.insert(0, str(Path(__file__).parent))
from record_fixtures import MACHINE, gemm_record, lu_record

NASTY = '<script>alert(1)</script> & "q" | [bold]x[/bold] $y$ `z`'


def _sweep():
    records = [
        gemm_record(p, b, n, 1e11 * factor * n / (n + 300))
        for p, b, factor in (
            ("fp64", "numpy", 1.0),
            ("fp32", "numba", 2.0),
            ("int8", "numba", 40.0),
            ("fp16", "numpy", 0.005),
        )
        for n in (512, 1024, 4096)
    ]
    return [*records, lu_record(2000, 4e10), lu_record(8000, 8e10)]


def _console(width=80):
    return Console(file=io.StringIO(), width=width, force_terminal=False)


def test_the_table_has_rate_ceiling_rpeak_speed_up_sums_and_verdict():
    records = [gemm_record("fp64", rate=1e11), gemm_record("int8", "numba", rate=4.5e12)]
    table = rates.gemm_table(records)
    assert table.rows == (
        ("fp64", "numpy", "4096", "100.0 GFLOPS", "80.0 %", "-", "1", "fp64", "PASSED"),
        ("int8", "numba", "4096", "4.500 TOPS", "80.0 %", "-", "45", "int32", "PASSED"),
    )


def test_integers_are_counted_in_operations_and_never_called_flops():
    text = to_markdown(assemble([gemm_record("int8", rate=2e9)]))
    assert "2.000 GOPS" in text
    assert "GFLOPS" not in text


def test_the_speed_up_is_over_the_best_verified_fp64_rate_of_the_same_size_and_device():
    slow, fast = gemm_record(rate=1e11), gemm_record(backend="numba", rate=2e11)
    failed = gemm_record(backend="cblas", rate=9e11, verdict="FAILED")
    elsewhere = gemm_record(backend="cupy", rate=9e12, device="cuda")
    record = gemm_record("fp32", rate=4e11)
    assert rates.speed_up(record, [slow, fast, failed, elsewhere, record]) == pytest.approx(2.0)
    assert rates.speed_up(gemm_record("fp32", n=512, rate=4e11), [slow, fast]) is None
    assert rates.speed_up(failed, [slow]) is None


def test_a_run_that_did_not_pass_has_no_rate_and_its_reason_stands_below():
    table = rates.gemm_table(
        [gemm_record("fp32", verdict="FAILED")], skipped=[("bf16", "numba", "-", "float32", "needs avx512_bf16")]
    )
    assert table.rows[0][3:7] == ("-", "-", "-", "-")
    assert table.rows[1] == ("bf16", "numba", "-", "-", "-", "-", "-", "fp32", "SKIPPED")
    assert table.notes == (
        "gemm_fp32_numpy n = 4096: FAILED: 3 times the error bound in column 7",
        "bf16 numba: SKIPPED: needs avx512_bf16",
    )


def test_a_rectangle_is_called_by_all_three_sizes():
    assert rates.size_of(gemm_record(n=128, m=4096, k=512)) == "4096x128x512"


def test_above_100_percent_is_shown_and_pointed_at():
    record = gemm_record(efficiency=results.Efficiency(of_rpeak=1.25, of_ceiling=0.9))
    table = rates.gemm_table([record])
    assert table.rows[0][5] == "125.0 %"
    assert "125.0 % of Rpeak" in table.notes[0]


@pytest.mark.parametrize("render", ["terminal", "markdown", "html"])
def test_every_form_has_the_summary_the_tables_and_the_machine(render):
    report = assemble(_sweep())
    text = _render(render, report)
    for wanted in (
        "Rmax 80.00 GFLOPS",
        "node01",
        "Example CPU 9000",
        "INT8 3.727 TOPS",
        "no hypervisor flag",
        "PASSED",
    ):
        assert wanted in text


@pytest.mark.parametrize("render", ["markdown", "html"])
def test_the_full_forms_have_choices_with_reasons_references_checks_and_provenance(render):
    records = _sweep()
    text = _render(render, assemble(records))
    for wanted in (
        "one for each core",
        "not in the hardware table",
        "register-resident FMA loop",
        "within the bound",
        "0123456789",
    ):
        assert wanted in text
    for record in records:
        assert record.run_id in text
        assert record.content_sha256 in text


def _render(how, report):
    if how == "terminal":
        console = _console()
        print_report(report, console)
        return console.file.getvalue()
    return {"markdown": to_markdown, "html": to_html}[how](report)


def test_the_terminal_form_keeps_to_80_columns_with_one_line_a_result():
    console = _console()
    print_report(assemble(_sweep()), console)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.rstrip().endswith("PASSED") for line in lines) == len(_sweep())


class _Page(HTMLParser):
    VOID = ("meta", "br", "hr", "img", "link", "input")

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _nasty_records():
    machine = msgspec.structs.replace(MACHINE, hostname=NASTY, os=NASTY, unknown={NASTY: NASTY})
    plan = [results.PlanLine(choice=NASTY, value=NASTY, reason=NASTY)]
    records = [
        gemm_record(n=n, machine=machine, plan=plan, kernel=NASTY, backend=NASTY, rpeak_reason=NASTY) for n in (64, 128)
    ]
    verification = msgspec.structs.replace(records[0].verification, verdict="FAILED", reason=NASTY, check=NASTY)
    failed = gemm_record("fp32", verdict="FAILED", verification=verification, machine=machine, foreign=NASTY)
    environment = msgspec.structs.replace(records[0].environment, warnings=[NASTY], variables={NASTY: NASTY})
    return [*records, failed, lu_record(machine=machine, environment=environment)]


def test_nothing_in_a_record_becomes_markup_in_the_page():
    page = _Page()
    text = to_html(assemble(_nasty_records()))
    page.feed(text)
    page.close()
    assert page.open == []
    assert "script" not in page.seen
    assert "alert(1)" in text
    assert "<script" not in text


def test_the_page_loads_nothing_and_runs_nothing():
    page = _Page()
    page.feed(to_html(assemble(_sweep())))
    assert not page.seen & {"script", "link", "img", "iframe", "object", "embed", "form", "a"}
    assert not [a for a in page.attributes if a[1] in ("src", "href", "xlink:href") or a[1].startswith("on")]
    assert "url(" not in to_html(assemble(_sweep()))
    assert any("default-src 'none'" in (value or "") for _, _, value in page.attributes)


def test_the_page_knows_dark_paper_and_narrow_screens():
    text = to_html(assemble(_sweep()))
    for wanted in ("prefers-color-scheme: dark", "@media print", "max-width: 40rem", 'name="viewport"', 'lang="en"'):
        assert wanted in text


def test_nothing_in_a_record_becomes_markup_on_the_terminal_or_in_markdown():
    console = _console(width=200)
    print_report(assemble(_nasty_records()), console)
    assert "[bold]x[/bold]" in console.file.getvalue()
    text = to_markdown(assemble(_nasty_records()))
    assert "<script" not in text.replace("\\<", "")
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| ")}
    assert widths <= {3, 5, 6, 7, 9, 10, 11}


@given(st.text())
def test_markdown_cells_stay_one_cell_on_one_line(text):
    escaped = escape(text)
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)(\\\\)*[|<>`*_]", re.sub(r"\\.", "", escaped))


def test_a_reference_that_several_precisions_share_is_told_once():
    records = [gemm_record("fp64"), gemm_record("int8", "numba")]
    rows = references(records).rows
    assert [row[:3] for row in rows if row[1] == "Rpeak"] == [("fp64, int8", "Rpeak", "unknown")]
    assert len([row for row in rows if row[1] == "ceiling"]) == 2  # one a precision: the rates differ


def test_a_long_note_below_a_table_stays_indented():
    console = _console(60)
    print_table(Table("t", (Column("a"),), (("b",),), ("word " * 30,)), console)
    below = console.file.getvalue().split("b\n")[-1].splitlines()
    notes = [line for line in below if "word" in line]
    assert len(notes) > 1
    assert all(line.startswith("  word") for line in notes)


def test_no_upright_line_crosses_the_label_of_a_bar_in_a_plot():
    bars = [Bar("near", 70e9, "FLOP/s", 103e9), Bar("far", 70e9, "FLOP/s", 200e9), Bar("long", 118e9, "OP/s", 304e9)]
    figure = Figure()
    axes = figure.subplots()
    _draw_bars(axes, Bars("t", tuple(bars)))
    assert [label.xy[0] for label in axes.texts] == [103e9, 70e9, 118e9]


def test_machines_are_kept_apart():
    other = msgspec.structs.replace(MACHINE, hostname="node02")
    records = [gemm_record(rate=1e11), gemm_record("fp32", rate=3e11, machine=other)]
    report = assemble(records)
    assert report.title == "flopbench: 2 machines"
    assert [section.heading.split(":")[0] for section in report.results] == ["node01", "node02"]
    assert report.results[1].tables[0].rows[0][6] == "-"  # no FP64 on that machine to compare with


def test_choices_that_all_runs_share_are_told_once():
    mine = [results.PlanLine(choice="isa", value="avx2", reason="as asked")]
    records = [gemm_record(), gemm_record("fp32", plan=[*gemm_record().plan, *mine])]
    table = next(s.tables[0] for s in assemble(records).background if s.heading == "Choices")
    assert table.rows == (("threads", "32", "one for each core", "all"), ("isa", "avx2", "as asked", "1 of 2"))


def test_bars_are_the_best_verified_rates_and_lines_need_two_sizes():
    records = [gemm_record(n=512, rate=1e10), gemm_record(n=1024, rate=3e10), gemm_record("fp32", verdict="FAILED")]
    bars, lines = charts(records)
    assert [(bar.label, bar.value) for bar in bars.bars] == [("fp64 numpy", 3e10)]
    assert lines.lines[0].points == ((512.0, 1e10), (1024.0, 3e10))
    assert [type(c) for c in charts(records[:1])] == [Bars]
    assert charts(records[2:]) == ()


def test_sums_in_another_type_are_a_row_and_a_line_of_their_own():
    records = [gemm_record("fp16", "numba", rate=1e11), gemm_record("fp16", "numba", rate=3e11, accumulator="float16")]
    assert [bar.label for bar in charts(records)[0].bars] == ["fp16 numba (fp16 sums)", "fp16 numba"]


@pytest.mark.parametrize("content", ["bars", "lines", "one size", "log"])
def test_charts_are_well_formed_and_stay_inside_their_picture(content):
    drawn = {
        "bars": Bars("t <&>", (Bar("a<b", 3.0e11, "FLOP/s", 4e11), Bar("b", 5e8, "OP/s"))),
        "lines": Lines("t", "n", (Line("x", ((10.0, 5.0), (20.0, 9.0))), Line("y", ((10.0, 4.0),)))),
        "one size": Lines("t", "n", (Line("x", ((10.0, 5.0),)), Line("y", ((10.0, 7.0),)))),
        "log": Lines("t", "n", tuple(Line(str(i), ((1.0, 10.0**i), (9.0, 2 * 10.0**i))) for i in range(10))),
    }[content]
    root = ElementTree.fromstring(chart(drawn))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter():
        for name, limit in (("x", width), ("y", height), ("x1", width), ("x2", width), ("cx", width), ("cy", height)):
            assert 0 <= float(element.attrib.get(name, 0)) <= limit
        if element.tag.endswith("rect"):
            assert float(element.attrib["x"]) + float(element.attrib["width"]) <= width
    assert root.find("{http://www.w3.org/2000/svg}desc").text


@given(st.floats(1e-3, 1e21))
def test_linear_ticks_start_at_zero_reach_the_top_and_are_few(top):
    ticks = scale.linear_ticks(top)
    assert ticks[0] == 0
    assert ticks[-1] >= top * (1 - 1e-8)
    assert 2 <= len(ticks) <= 8


@given(st.floats(1e3, 1e18), st.floats(1, 1e6))
def test_log_ticks_enclose_the_data(low, ratio):
    ticks = scale.log_ticks(low, low * ratio)
    assert ticks[0] <= low * (1 + 1e-9)
    assert ticks[-1] >= low * ratio * (1 - 1e-9)


def test_ticks_are_short():
    assert [scale.rate_label(v) for v in (0, 2.5e11, 1e12, 5e8)] == ["0", "250 G", "1 T", "500 M"]


@pytest.fixture
def folder(tmp_path):
    for record in _sweep():
        results.write(record, tmp_path / "records")
    return tmp_path / "records"


def test_the_command_takes_files_and_folders_each_record_once(folder, capsys):
    some = sorted(folder.glob("*.json"))[0]
    assert len(read_records([folder, some, folder])) == len(_sweep())
    assert run(["report", str(folder), str(some)]) == 0
    assert "node01" in capsys.readouterr().out


def test_a_self_test_beside_the_records_is_passed_over(folder, tmp_path, capsys):
    from flopbench.compare.records import load
    from flopbench.gpu_selftest import suite

    document = {"time_start_utc": "2026-11-27T18:46:08.04Z", "machine": {"hostname": "node01"}, "schema": suite.SCHEMA}
    written = suite.write(document, folder)
    before = load(folder)
    assert run(["report", str(folder)]) == 0
    written.rename(tmp_path / "other.json")
    assert load(folder) == before
    capsys.readouterr()
    (tmp_path / "alone").mkdir()
    suite.write(document, tmp_path / "alone")
    assert run(["report", str(tmp_path / "alone")]) == 2
    assert "no record in folder" in capsys.readouterr().err


def test_the_command_writes_markdown_a_page_and_a_plot(folder, tmp_path, capsys):
    page, plot = tmp_path / "r.html", tmp_path / "r.png"
    assert run(["report", str(folder), "--markdown", "--html", str(page), "--plot", str(plot)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("# flopbench: node01")
    assert captured.err == f"wrote {page}\nwrote {plot}\n"
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_plot_takes_text_from_records_as_it_is(tmp_path):
    from flopbench.report.plots import save

    save(charts(_nasty_records()), assemble(_nasty_records()).title, tmp_path / "x.svg")
    assert "<script" not in (tmp_path / "x.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.json"], "cannot read record missing.json: No such file"),
        (["EMPTY"], "no record in folder"),
        (["ALTERED"], "altered since it was written"),
        (["RECORD", "--plot", "x.bmp"], "the ending must be one of .pdf, .png, .svg"),
        (["RECORD", "--html", "/nowhere/x.html"], "cannot write the page"),
        (["FAILED", "--plot", "x.png"], "nothing to draw"),
        ([], "RECORD..."),
    ],
)
def test_what_cannot_be_reported_is_one_line_and_exit_2(arguments, words, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    good = results.write(gemm_record(), tmp_path)
    bad = results.write(gemm_record("fp32", verdict="FAILED"), tmp_path / "f")
    altered = tmp_path / "altered.json"
    document = json.loads(good.read_text())
    document["rmax_flops"] *= 2
    altered.write_text(json.dumps(document))
    names = {"EMPTY": tmp_path / "empty", "ALTERED": altered, "RECORD": good, "FAILED": bad}
    assert run(["report", *(str(names.get(word, word)) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_without_matplotlib_the_plot_says_how_to_get_it(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run(["report", str(folder), "--plot", "x.png"]) == 4
    assert "pip install 'flopbench[plot]'" in capsys.readouterr().err
