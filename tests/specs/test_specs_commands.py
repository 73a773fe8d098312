"""flopbench specs and flopbench rpeak as a user meets them."""

from __future__ import annotations

import json

import pytest

from flopbench.cli import run
from flopbench.specs.table import data_files


def test_rpeak_prints_formula_convention_and_source(capsys):
    assert run(["rpeak", "--cpu", "Xeon Gold 6148", "--sockets", "2"]) == 0
    shown = capsys.readouterr().out
    assert "2 sockets x 20 cores x 32 FLOP/cycle x 2.4 GHz = 3.072 TFLOPS" in shown
    assert "base clock" in shown and "intel.com" in shown


def test_rpeak_as_json_is_one_document(capsys):
    assert (
        run(["rpeak", "--gpu", "H100 SXM", "--gpus", "4", "--nodes", "36", "--published", "9.634775P", "--json"]) == 0
    )
    document = json.loads(capsys.readouterr().out)["rpeak"]
    assert document["flops"] == pytest.approx(9.634775e15, rel=1e-3)
    assert document["formula"].startswith("36 nodes x (4 x 132 SM")
    assert document["published"]["clock_ghz_that_gives_it"]["gpu"] == pytest.approx(1.98, abs=0.001)


@pytest.mark.parametrize("text", ["15.21P", "15.21PFLOPS", "15.21 PFLOP/s", "1.521e16", "15210T"])
def test_a_published_rate_is_read_with_its_prefix(text, capsys):
    assert run(["rpeak", "--gpu", "V100 SXM2", "--published", text]) == 0
    assert "15.21 PFLOPS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rpeak", "--gpu", "H1000"], "did you mean NVIDIA H100 NVL"),
        (["rpeak", "--cpu", "Xeon Gold 6148", "--clock", "fast"], "choose top500, base, boost"),
        (["rpeak", "--cpu", "Xeon Gold 6148", "--published", "lots"], "--published is 'lots'"),
        (["rpeak", "--cpu", "Xeon Gold 6148", "--sockets", "0"], "--sockets"),
        (["rpeak"], "nothing to compute"),
        (["specs", "show", "H1000"], "did you mean NVIDIA H100"),
        (["specs", "list", "transputer"], "unknown word in the table"),
        (["specs", "validate", "no-such-file.toml"], "cannot read"),
        (["specs", "audit", "no-such-list.csv"], "cannot read no-such-list.csv"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_2(arguments, message, capsys):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""


@pytest.mark.parametrize("name", ["H100 SXM", "Xeon Gold 6148", "zen4", "NVIDIA B200"])
def test_show_fits_the_terminal_and_names_the_source(name, capsys):
    assert run(["specs", "show", name]) == 0
    shown = capsys.readouterr().out
    assert "https://" in shown
    assert all(len(line) < 80 for line in shown.splitlines() if "https://" not in line)
    assert run(["specs", "show", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"]["name"]


def test_list_finds_by_words_and_fits_the_terminal(capsys):
    assert run(["specs", "list", "epyc", "7763"]) == 0
    assert capsys.readouterr().out.startswith("AMD EPYC 7763 ")
    assert run(["specs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 900 and all(len(line) < 80 for line in lines)
    assert run(["specs", "list", "H100", "--json"]) == 0
    assert "NVIDIA H100 NVL" in json.loads(capsys.readouterr().out)["gpus"]


def test_validate_passes_the_table_of_flopbench_and_reports_a_changed_copy(tmp_path, capsys):
    assert run(["specs", "validate"]) == 0
    assert capsys.readouterr().out.endswith(" 0 findings\n")
    original = next(path for path in data_files() if path.name == "gpus_nvidia_datacenter.toml")
    copy = tmp_path / original.name
    text = original.read_text()
    assert "dense_tflops = 312" in text
    copy.write_text(text.replace("dense_tflops = 312", "dense_tflops = 624", 1))
    assert run(["specs", "validate", str(copy), "--json"]) == 1
    faults = json.loads(capsys.readouterr().out)["findings"]
    assert any("sparse" in f["fault"] and "A100" in f["entry"] for f in faults)


def test_audit_prints_what_differs_and_the_share(tmp_path, capsys):
    path = tmp_path / "list.csv"
    path.write_text(
        "Rank:Name:Total Cores:Rpeak [TFlop/s]:Processor:Processor Speed (MHz)\n"
        "1:One:1000:76.8:Xeon Gold 6148:2400\n2:Two:1000:38.4:Xeon Gold 6148:2400\n"
    )
    assert run(["specs", "audit", str(path)]) == 0
    shown = capsys.readouterr().out
    assert (
        "Two; Xeon Gold 6148: 16 FLOP/cycle/core" in " ".join(shown.split()) and "1 of 2 within 0.5 %: 50.0 %" in shown
    )
    assert run(["specs", "audit", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)["audit"]
    assert document["share_within_half_percent"] == 0.5 and document["not_reproduced"][0]["name"] == "Two"
