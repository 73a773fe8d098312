"""flopbench hpl from its command line to its record."""

import errno
import importlib.util
import json
import os
from pathlib import Path

import pytest

from flopbench import results
from flopbench.cli import run
from flopbench.results import read

_spec = importlib.util.spec_from_file_location("broken_kernels", Path(__file__).with_name("broken_kernels.py"))
broken_kernels = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(broken_kernels)


def records(folder: Path) -> list[results.Record]:
    return [read(path) for path in sorted(folder.glob("*.json"))]


def test_the_summary_shows_rate_verdict_choices_and_where_the_record_lies(tmp_path, capsys):
    assert run(["hpl", "--n", "300", "--repeat", "2", "--output", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    (record,) = records(tmp_path)
    assert record.verification.verdict == "PASSED"
    assert record.rmax_flops == record.flop_count / min(record.times_s)
    assert len(record.times_s) == len(record.run_times_utc) == 2
    for word in (
        "Rmax",
        "PASSED",
        "of Rpeak",
        "of ceiling",
        "N = 300",
        "BLAS",
        str(tmp_path),
        "not counted",
        "--memory 0.8",
    ):
        assert word in shown


@pytest.mark.parametrize("n", [1, 2, 3, 31, 32, 33, 97])
def test_every_small_n_passes(n, tmp_path, capsys):
    assert run(["hpl", "--n", str(n), "--nb", "32", "--repeat", "1", "--output", str(tmp_path)]) == 0
    (record,) = records(tmp_path)
    assert (record.problem.n, record.verification.verdict) == (n, "PASSED")


def test_json_is_one_document_with_every_record_of_the_sweep(tmp_path, capsys):
    assert run(["hpl", "--n", "40,50", "--nb", "8,16", "--repeat", "1", "--json", "--output", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    shown = json.loads(captured.out)["results"]
    assert [(r["problem"]["n"], r["problem"]["nb"]) for r in shown] == [(40, 8), (40, 16), (50, 8), (50, 16)]
    assert captured.err == ""
    assert {r["run_id"] for r in shown} == {r.run_id for r in records(tmp_path)}


@pytest.mark.parametrize("kernel", broken_kernels.BROKEN, ids=lambda cls: cls.__name__)
def test_a_wrong_kernel_fails_with_the_ingredients_and_exit_1(kernel, register, tmp_path, capsys):
    register(kernel)
    assert run(["hpl", "--n", "200", "--kernel", kernel.name, "--output", str(tmp_path)]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    (record,) = records(tmp_path)
    assert (record.verification.verdict, record.rmax_flops) == ("FAILED", None)
    assert "Rmax none: FAILED" in shown
    assert "a_inf = " in shown


def test_every_repeat_is_checked_and_one_wrong_one_spoils_the_result(register, tmp_path, capsys):
    broken_kernels.WrongOnce.runs_of_asked_size = 0
    register(broken_kernels.WrongOnce)
    arguments = [
        "hpl",
        "--n",
        "333",
        "--repeat",
        "4",
        "--kernel",
        broken_kernels.WrongOnce.name,
        "--output",
        str(tmp_path),
    ]
    assert run(arguments) == 1
    (record,) = records(tmp_path)
    assert (record.verification.verdict, record.rmax_flops) == ("FAILED", None)


def test_hpl_text_of_a_failed_test_prints_the_norms_and_counts_it(register, tmp_path, capsys):
    register(broken_kernels.BitInX)
    assert run(["hpl", "--n", "100", "--kernel", "lu_fp64_bitinx", "--hpl-format", "--output", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "...... FAILED" in shown
    assert "||x||_1  . . . ." in shown
    assert "     1 tests completed and failed residual checks," in shown


BAD_OPTIONS = {
    "--n 0": "--n is '0'; allowed: whole numbers from 1",
    "--n -1": "--n is '-1'",
    "--n 1e3": "--n is '1e3'",
    "--n nan": "--n is 'nan'",
    "--n ٣": "--n is '٣'",
    "--n ,": "--n is ','",
    "--n 1000000000": "are available",
    "--n 9999999999": "allowed: 1 to 2147483647",
    "--nb 0": "--nb is '0'",
    "--memory 0": "allowed: above 0, up to 0.95",
    "--memory nan": "allowed: above 0, up to 0.95",
    "--memory many": "'many' is not a valid float",
    "--time -1": "--time is -1.0; allowed: seconds above 0",
    "--time nan": "--time is nan",
    "--repeat 0": "--repeat",
    "--threads 0": "--threads",
    "--grid 2x": "--grid is '2x'",
    "--grid 2x2": "mpiexec -n 4",
    "--kernel lu_fp64_nunpy": "did you mean lu_fp64_numpy",
    "--kernel gemm": "unknown kernel 'gemm'",
    "--backend nunpy": "unknown backend",
    "--device tpu": "--device",
    "--config /does/not/exist.toml": "cannot read configuration /does/not/exist.toml",
    "--option colour": "--option is 'colour'; allowed: NAME=VALUE",
    "--option =blue": "--option is '=blue'; allowed: NAME=VALUE",
    "--option colour=blue --n 10": "lu_fp64_numpy has no option colour; allowed: none",
    "--nonsense": "--nonsense",
}


@pytest.mark.parametrize("arguments", BAD_OPTIONS)
def test_bad_input_gets_one_line_and_exit_2(arguments, tmp_path, capsys):
    assert run(["hpl", *arguments.split(), "--output", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("flopbench: ")
    assert captured.err.count("\n") == 1
    assert BAD_OPTIONS[arguments] in captured.err
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_sets_options_and_the_command_line_wins(tmp_path, capsys):
    config = tmp_path / "small.toml"
    config.write_text('[hpl]\nn = [30, 40]\nnb = 8\nrepeat = 1\nkernel = "lu_fp64_numpy"\n')
    out = tmp_path / "out"
    assert run(["hpl", "--config", str(config), "--nb", "16", "--output", str(out)]) == 0
    assert [(r.problem.n, r.problem.nb, len(r.times_s)) for r in records(out)] == [(30, 16, 1), (40, 16, 1)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[hpl]\nm = 3\n", "unknown field `m`"),
        ("[hpl]\nn = 'many'\n", "$.hpl.n"),
        ("[hpl]\nn = -3\n", ">= 1"),
        ("[hpl\n", "configuration"),
        ("title = 'x'\n", "has no [hpl] table"),
        ("[hpl]\nn = 3\nn = 4\n", "configuration"),
    ],
)
def test_a_bad_configuration_names_file_and_key(text, complaint, tmp_path, capsys):
    config = tmp_path / "bad.toml"
    config.write_text(text)
    assert run(["hpl", "--config", str(config)]) == 2
    shown = capsys.readouterr().err
    assert (shown.count("\n"), str(config) in shown, complaint in shown) == (1, True, True)


def test_a_configuration_in_another_encoding_is_one_line(tmp_path, capsys):
    config = tmp_path / "latin1.toml"
    config.write_bytes("title = 'Zürich'\n".encode("latin-1"))
    assert run(["hpl", "--config", str(config)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_record_that_cannot_be_written_is_shown_first_and_then_complained_about(code, tmp_path, capsys, monkeypatch):
    def full(path, text):
        raise OSError(code, "No space left on device" if code == errno.ENOSPC else "not allowed")

    monkeypatch.setattr(results, "write_atomically", full)
    assert run(["hpl", "--n", "50,60", "--repeat", "1", "--output", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out.count("PASSED") == 2
    assert captured.err.count("cannot write the record") == 2
    assert captured.err.count("\n") == 2


def test_output_that_is_a_file_loses_nothing(tmp_path, capsys):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert run(["hpl", "--n", "50", "--repeat", "1", "--output", str(taken)]) == 2
    captured = capsys.readouterr()
    assert "PASSED" in captured.out
    assert taken.read_text() == "mine"


def test_openblas_coretype_and_idle_cores_are_warned_about(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    threads = str(2 + len(os.sched_getaffinity(0)))
    assert run(["hpl", "--n", "50", "--repeat", "1", "--threads", threads, "--output", str(tmp_path)]) == 0
    (record,) = records(tmp_path)
    assert record.environment.variables["OPENBLAS_CORETYPE"] == "Prescott"
    assert any("OPENBLAS_CORETYPE=Prescott" in warning for warning in record.environment.warnings)
    assert any("they take turns" in warning for warning in record.environment.warnings)
    assert "warning     OPENBLAS_CORETYPE" in capsys.readouterr().out
