"""`flopbench hpl --dat, --write-dat, --detail, --screen` on one process."""

import json

import pytest

from flopbench import hpl_dat
from flopbench.cli import run
from flopbench.hpl_dat import HplDat


def dat(tmp_path, **more):
    path = tmp_path / "HPL.dat"
    hpl_dat.write(HplDat(**{"ns": (60,), "nbs": (16,), "grids": ((1, 1),), **more}), path)
    return str(path)


def test_a_dat_is_run_and_printed_as_xhpl_does_and_kept_as_records(tmp_path, capsys):
    path = dat(tmp_path, ns=(60, 70), depths=(0, 2), pfacts=("left", "crout"))
    assert run(["hpl", "--dat", path, "--kernel", "lu_fp64_numba", "--output", str(tmp_path / "r")]) == 0
    shown = capsys.readouterr().out
    rows = [line.split()[:2] for line in shown.splitlines() if line.startswith("WR")]
    assert rows == [[f"WR{d}1R2{f}4", n] for n in ("60", "70") for d in "02" for f in "LC"]
    assert "8 tests completed and passed residual checks" in shown
    records = [json.loads(file.read_text()) for file in (tmp_path / "r").glob("*.json")]
    assert {record["tuning"]["depth"] for record in records} == {0, 2}


def test_a_device_that_is_a_file_gets_the_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = dat(tmp_path, device=8, output_file="HPL.out")
    assert run(["hpl", "--dat", path, "--output", str(tmp_path / "r")]) == 0
    assert "PASSED" in (tmp_path / "HPL.out").read_text()
    assert "WR" not in capsys.readouterr().out


def test_a_threshold_of_zero_runs_without_check(tmp_path, capsys):
    assert run(["hpl", "--dat", dat(tmp_path, threshold=0.0), "--output", str(tmp_path / "r")]) == 0
    assert "tests completed without checking" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--n", "100"], "--dat decides what --n would"),
        (["--grid", "1x1", "--repeat", "2"], "--dat decides what --grid, --repeat would"),
    ],
)
def test_options_that_the_dat_decides_are_refused(more, said, tmp_path, capsys):
    assert run(["hpl", "--dat", dat(tmp_path), *more]) == 2
    assert said in capsys.readouterr().err


def test_a_grid_larger_than_the_job_says_which_lines_and_how_to_start_it(tmp_path, capsys):
    assert run(["hpl", "--dat", dat(tmp_path, grids=((1, 1), (2, 3)))]) == 2
    error = capsys.readouterr().err
    assert "lines 11 and 12" in error and "needs 6 ranks, there are 1" in error and "mpiexec -n 6" in error


def test_write_dat_makes_a_file_that_reads_back_and_runs_nothing(tmp_path, capsys):
    path = tmp_path / "new.dat"
    assert run(["hpl", "--write-dat", str(path), "--n", "5000", "--nb", "128", "--grid", "2x2"]) == 0
    assert hpl_dat.read(path) == HplDat(ns=(5000,), nbs=(128,), grids=((2, 2),))
    assert "WR" not in capsys.readouterr().out


def test_write_dat_fills_the_memory_when_n_is_not_given(tmp_path):
    path = tmp_path / "new.dat"
    assert run(["hpl", "--write-dat", str(path), "--memory", "0.5"]) == 0
    half = hpl_dat.read(path).ns[0]
    assert run(["hpl", "--write-dat", str(path), "--memory", "0.1"]) == 0
    assert 0 < hpl_dat.read(path).ns[0] < half


def test_detail_shows_the_phases_of_a_kernel_that_names_them(tmp_path, capsys):
    arguments = ["hpl", "--n", "200", "--nb", "32", "--repeat", "1", "--output", str(tmp_path), "--detail"]
    assert run([*arguments, "--kernel", "lu_fp64_numba"]) == 0
    shown = capsys.readouterr().out
    assert "slowest rank" in shown and all(phase in shown for phase in ("panel", "update", "solve"))
    assert run([*arguments, "--kernel", "lu_fp64_numpy"]) == 0
    assert "names none" in capsys.readouterr().out


def test_screening_one_node_lists_it(tmp_path, capsys):
    assert run(["hpl", "--screen", "--n", "300", "--nb", "32"]) == 0
    shown = capsys.readouterr().out
    assert "1 node(s) at once" in shown and "PASSED" in shown


def test_the_examples_in_configs_are_read(request):
    example = hpl_dat.read(request.config.rootpath / "configs" / "HPL.dat")
    assert (example.ns, example.grids, example.warnings) == ((4000,), ((2, 2),), ())
