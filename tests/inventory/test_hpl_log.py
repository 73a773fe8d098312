"""The output of foreign HPLs becomes foreign records: read, recomputed where the text allows, never verified."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from shared_data import shared

from flopbench.cli import run
from flopbench.errors import BadInput
from flopbench.flops import lu_solve_flops
from flopbench.inventory import checks, hpl_log, overview, summary
from flopbench.inventory.store import Inventory
from flopbench.results import from_document, to_document

NOW = datetime(2026, 11, 3, tzinfo=UTC)
RULE, LINE = "=" * 80, "-" * 80


def hpl23(n=20000, seconds=100.0, verdict="PASSED", residual="1.23456789e-03", gflops=None, row=None) -> str:
    """HPL 2.3's text for one test; the rate fits the time unless given."""
    gflops = gflops if gflops is not None else f"{lu_solve_flops(n) / seconds / 1e9:.4e}"
    row = row or f"WR11C2R4{n:12d} {200:5d} {2:5d} {4:5d} {seconds:18.2f}    {gflops:>19}"
    return f"""{RULE}
HPLinpack 2.3  --  High-Performance Linpack benchmark  --   December 2, 2018
{RULE}
- Computational tests pass if scaled residuals are less than                16.0
{RULE}
T/V                N    NB     P     Q               Time                 Gflops
{LINE}
{row}
HPL_pdgesv() start time Mon Nov  2 03:04:05 2026

HPL_pdgesv() end time   Mon Nov  2 03:05:45 2026

{LINE}
||Ax-b||_oo/(eps*(||A||_oo*||x||_oo+||b||_oo)*N)=   {residual} ...... {verdict}
{RULE}

Finished      1 tests with the following results:
End of Tests.
{RULE}
"""


NVIDIA = f"""HPLinpack 2.1  --  High-Performance Linpack benchmark
- Computational tests pass if scaled residuals are less than                16.0
\x1b[31m Prog= 1.69% N_left= 99000 Time= 3.42 Time_left= 198.64 iGF= 1.0 GF= 1.0 iGF_per= 1.0 GF_per= 1.0\x1b[0m
{RULE}
T/V                N    NB     P     Q         Time          Gflops (   per GPU)
{LINE}
WC0           100000  1024     2     2        10.00       6.667e+04 ( 1.667e+04)
||Ax-b||_oo/(eps*(||A||_oo*||x||_oo+||b||_oo)*N)=   0.000227490443 ...... PASSED
||Ax-b||_oo  . . . . . . . . . . . . . . . . . =    0.000000001
||A||_oo . . . . . . . . . . . . . . . . . . . =    25300.5
||x||_oo . . . . . . . . . . . . . . . . . . . =    4.5
End of Tests.
"""

ROCHPL = f"""rocHPL version 6
HPLinpack 2.2
- Computational tests pass if scaled residuals are less than                16.0
T/V                N    NB     P     Q               Time                 Gflops
{LINE}
WC10R2R32       45312   384     1     1               2.00             3.102e+04
Residual value = 0.000123456789000 (0x3f202e85be111841)
Residual Check: PASSED
Final Score:    3.1012e+04 GFLOPS
"""


#: As the containers of 2024 and 2025 print it: their own banner, all four norms, and lines of NCCL in between.
NVIDIA_CONTAINER = f"""{RULE}
HPL-NVIDIA 24.3.0  -- NVIDIA accelerated HPL benchmark -- NVIDIA
{RULE}
 Prog= 2.31%    N_left=    39690        Time=   0.47    Time_left=  19.96       iGF= 2100.00  GF= 2100.00   iGF_per= 1050.00
 {RULE}
 T/V                N    NB     P     Q         Time          Gflops (   per GPU)
 {LINE}
 WC03R2R2       40000  1024     2     1        20.00       2.133e+03 ( 1.067e+03)

HPL_pdgesv() start time Mon Nov  2 03:04:05 2026
HPL_pdgesv() end time   Mon Nov  2 03:04:25 2026

gpu001:407892:407892 [0] NCCL INFO comm 0x5555bc5462a0 rank 0 nranks 2 cudaDev 0 busId 100000 - Destroy COMPLETE
{LINE}
||Ax-b||_oo/(eps*(||A||_oo*||x||_oo+||b||_oo)*N)=   0.000452000000 ...... PASSED
||Ax-b||_oo  . . . . . . . . . . . . . . . . . = 0.0000000001003500
||A||_oo . . . . . . . . . . . . . . . . . . . = 10100.1234567890000000
||x||_oo . . . . . . . . . . . . . . . . . . . = 4.9500000000000000
||b||_oo . . . . . . . . . . . . . . . . . . . = 0.4999990000000000
{RULE}
"""

#: With HPL_PROGRESS_REPORT: its score and verdict go to stdout beside HPL's own lines, and ctime leaves blank lines.
ROCHPL_PROGRESS = f"""HPLinpack 2.2  --  High-Performance Linpack benchmark  --   February 24, 2016
- Computational tests pass if scaled residuals are less than                16.0
   %   | Column    | Step Time (s) | Overall GFLOPS
{RULE}
T/V                N    NB     P     Q               Time                 Gflops
{LINE}
WR10R2R32       40000   512     1     1              20.00              2.133e+03
HPL_pdgesv() start time Mon Nov  2 03:04:05 2026

HPL_pdgesv() end time   Mon Nov  2 03:04:25 2026

Final Score:    2.1335e+03 GFLOPS
{LINE}
||Ax-b||_oo/(eps*(||A||_oo*||x||_oo+||b||_oo)*N)=        0.0001235 ...... PASSED
Residual Check: PASSED
End of Tests.
"""


def read(tmp_path: Path, text: str):
    path = tmp_path / "hpl.log"
    path.write_text(text)
    return hpl_log.read(path, "alpha")


def test_a_plain_hpl_log_is_read(tmp_path):
    (found,) = read(tmp_path, hpl23())
    record = found.record
    assert found.reasons == ()
    assert (record.problem.n, record.problem.nb, record.problem.p, record.problem.q) == (20000, 200, 2, 4)
    assert record.rmax_flops == pytest.approx(lu_solve_flops(20000) / 100)
    assert record.foreign == "HPL 2.3"
    assert record.verification.value == 1.23456789e-03
    assert record.time_start_utc == "2026-11-02T03:04:05"
    assert record.tuning["bcast"] == "1ringM"
    assert (record.tuning["rfact"], record.tuning["pfact"], record.tuning["nbmin"]) == ("Crout", "right", 4)


@pytest.mark.parametrize(
    ("text", "program", "n", "residual"),
    [
        (NVIDIA, "HPL-NVIDIA (HPL 2.1)", 100000, 0.000227490443),
        (NVIDIA_CONTAINER, "HPL-NVIDIA 24.3.0", 40000, 0.000452),
        (ROCHPL, "rocHPL (HPL 2.2)", 45312, 0.000123456789),
        (ROCHPL_PROGRESS, "rocHPL (HPL 2.2)", 40000, 0.0001235),
    ],
)
def test_the_dialects_of_vendors_are_read(tmp_path, text, program, n, residual):
    (found,) = read(tmp_path, text)
    assert found.reasons == ()
    assert found.record.foreign == program
    assert found.record.problem.n == n
    assert found.record.verification.value == pytest.approx(residual)


def test_norms_that_a_program_prints_are_kept(tmp_path):
    (found,) = read(tmp_path, NVIDIA)
    assert found.record.verification.ingredients["a_inf"] == 25300.5


def test_a_foreign_record_is_a_valid_record_and_never_passes_as_ours(tmp_path):
    (found,) = read(tmp_path, hpl23())
    record = from_document(to_document(found.record))
    assert record.content_sha256 == found.record.content_sha256
    assert "not flopbench's" in checks.reasons_against(record, NOW)[0]


def test_the_same_log_gives_the_same_run_id(tmp_path):
    assert read(tmp_path, hpl23())[0].record.run_id == read(tmp_path, hpl23())[0].record.run_id
    assert read(tmp_path, hpl23())[0].record.run_id != read(tmp_path, hpl23(n=20001))[0].record.run_id


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (hpl23(verdict="FAILED"), "FAILED"),
        (hpl23(residual="1.7e+01"), "not below 16"),
        (hpl23(residual="nan"), "not below 16"),
        (hpl23(gflops="9.9999e+03"), "2/3 N^3"),
        (hpl23().replace("||Ax-b||_oo/(eps", "gone"), "nothing about the residual"),
        (hpl23(seconds=0.0, gflops="1.0e+00"), "must be positive"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(tmp_path, text, words):
    (found,) = read(tmp_path, text)
    assert found.record is None
    assert words in found.reasons[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (hpl23(), "log was not edited"),
        (hpl23(), "machine"),
        (hpl23().replace("HPL_pdgesv() start", "gone"), "when it ran"),
        (hpl23().replace("End of Tests.", ""), "log is whole"),
        (hpl23().replace("03:05:45", "03:50:45"), "between its start and end"),
        (ROCHPL.replace("Residual value", "gone"), "only its verdict"),
    ],
)
def test_what_could_not_be_verified_is_said(tmp_path, text, words):
    (found,) = read(tmp_path, text)
    assert any(words in what for what in found.unverified)
    assert any(words in warning for warning in found.record.environment.warnings)


def test_a_sweep_gives_one_record_a_row(tmp_path):
    found = read(tmp_path, hpl23() + hpl23(n=30000, seconds=300.0) + hpl23(verdict="FAILED"))
    assert [run.record is not None for run in found] == [True, True, False]
    assert "test 3 of 3" in found[2].where


@pytest.mark.parametrize("text", ["", "hello", "****** HPL MxP Result ******", RULE, hpl23()[:200]])
def test_what_is_no_hpl_log_is_one_line(tmp_path, text):
    with pytest.raises(BadInput):
        read(tmp_path, text)


def test_a_foreign_rate_is_listed_but_never_ranks_as_verified(tmp_path, capsys):
    where = str(tmp_path / "i.db")
    log = tmp_path / "hpl.log"
    log.write_text(hpl23())
    Inventory(where).init()
    submit = ["submit", "--hpl-log", str(log), "--inventory", where, "--organisation", "NTU", "--machine", "alpha"]
    assert run(submit) == 0
    assert "not verified:" in capsys.readouterr().out
    assert run(submit) == 0
    assert "already filed" in capsys.readouterr().out
    with Inventory(where) as inventory, inventory.reading() as connection:
        rows = overview.machine_rows(connection)
        of_all = summary.ranking(connection, "rmax")
        of_verified = summary.ranking(connection, "rmax", verified_only=True)
        sums = summary.by(connection, "sector")
    assert [r.best.standing for r in rows] == ["foreign"]
    assert (of_all.rows, of_all.ranked) == (rows, 1)
    assert (of_verified.rows, of_verified.ranked, of_verified.machines) == ([], 0, 1)
    assert (sums.small.measured, sums.small.verified) == (1, 0)


def test_a_log_does_not_name_its_machine(tmp_path, capsys):
    log = tmp_path / "hpl.log"
    log.write_text(hpl23())
    assert run(["submit", "--hpl-log", str(log), "--inventory", str(tmp_path / "i.db")]) == 2
    assert "--machine" in capsys.readouterr().err


def test_the_log_of_a_real_system_on_the_top500_is_read():
    (found,) = hpl_log.read(shared("data", "hpl-logs", "claix-2023-cpu-intel-mkl-hpl.log"), "CLAIX-2023")
    assert found.reasons == ()
    assert found.record.foreign == "Intel MKL HPL 2.3"
    assert found.record.rmax_flops == pytest.approx(3133.42e12, rel=1e-5)
    assert found.record.verification.value == 7.42202870e-04
    assert (found.record.problem.n, found.record.ranks) == (4249344, 92 * 52)
