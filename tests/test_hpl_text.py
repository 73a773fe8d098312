"""HPL 2.3's text, so that whatever reads xhpl's output reads ours."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest

from flopbench.kernel_api import LuTuning
from flopbench.report import hpl_text

SWEEP = hpl_text.Sweep(n=[29184], nb=[192], grid=[(2, 3)], tuning=[LuTuning(rfact="crout")])

HEADER = """\
================================================================================
HPLinpack 2.3  --  High-Performance Linpack benchmark  --   December 2, 2018
Written by A. Petitet and R. Clint Whaley,  Innovative Computing Laboratory, UTK
Modified by Piotr Luszczek, Innovative Computing Laboratory, UTK
Modified by Julien Langou, University of Colorado Denver
================================================================================

An explanation of the input/output parameters follows:
T/V    : Wall time / encoded variant.
N      : The order of the coefficient matrix A.
NB     : The partitioning blocking factor.
P      : The number of process rows.
Q      : The number of process columns.
Time   : Time in seconds to solve the linear system.
Gflops : Rate of execution for solving the linear system.

The following parameter values will be used:

N      :   29184 
NB     :     192 
PMAP   : Row-major process mapping
P      :       2 
Q      :       3 
PFACT  :   Right 
NBMIN  :       4 
NDIV   :       2 
RFACT  :   Crout 
BCAST  :  1ringM 
DEPTH  :       1 
SWAP   : Mix (threshold = 64)
L1     : transposed form
U      : transposed form
EQUIL  : yes
ALIGN  : 8 double precision words

--------------------------------------------------------------------------------

- The matrix A is randomly generated for each test.
- The following scaled residual check will be computed:
      ||Ax-b||_oo / ( eps * ( || x ||_oo * || A ||_oo + || b ||_oo ) * N )
- The relative machine precision (eps) is taken to be               1.110223e-16
- Computational tests pass if scaled residuals are less than                16.0

"""  # noqa: W291

#: How readers of xhpl's output take it apart; each written anew from what such readers look for.
READERS = {
    "row by columns": (
        r"^W[RC]\S+\s+(?P<n>\d+)\s+(?P<nb>\d+)\s+(?P<p>\d+)\s+(?P<q>\d+)\s+(?P<time>\d+\.\d+)"
        r"\s+(?P<gflops>\d+\.\d+e[+-]\d+)\s*$"
    ),
    "row by variant": r"^(?P<tv>W[RC]\d\d[LCR]\d[LCR]\d+) +\d+ +\d+ +\d+ +\d+ +\S+ +(?P<gflops>\S+)$",
    "residual": (
        r"^\|\|Ax-b\|\|_oo/\(eps\*\(\|\|A\|\|_oo\*\|\|x\|\|_oo\+\|\|b\|\|_oo\)\*N\)="
        r"\s+(?P<residual>\S+)\s+\.+\s+(?P<verdict>PASSED|FAILED)"
    ),
    "start": r"^HPL_pdgesv\(\) start time (?P<start>\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})$",
    "end": r"^HPL_pdgesv\(\) end time   (?P<end>\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})$",
    "count": r"^Finished +(?P<tests>\d+) tests with the following results:$",
    "passed": r"^ +(?P<passed>\d+) tests completed and passed residual checks,$",
    "failed": r"^ +(?P<failed>\d+) tests completed and failed residual checks,$",
    "skipped": r"^ +(?P<skipped>\d+) tests skipped because of illegal input values\.$",
    "end of tests": r"^End of Tests\.$",
    "banner": r"^HPLinpack (?P<version>\d\.\d)  --  High-Performance Linpack benchmark  --",
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    arguments = ["hpl", "--n", "300,400", "--nb", "64", "--repeat", "1", "--hpl-format", "--output", str(folder)]
    command = [sys.executable, "-c", "from flopbench.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_header_is_hpls_to_the_byte():
    assert hpl_text.header(SWEEP) == HEADER


def test_lists_go_eight_a_line_under_each_other():
    shown = hpl_text.header(replace(SWEEP, n=list(range(1000, 19000, 1000))))
    assert f"N      :{'':0}" + "".join(f"{n:8d} " for n in range(1000, 9000, 1000)) + "\n" in shown
    assert "\n            9000    10000 " in shown
    assert "\n           17000    18000 \n" in shown


@pytest.mark.parametrize("reader", READERS)
def test_readers_of_xhpl_find_what_they_look_for(reader, printed):
    assert re.search(READERS[reader], printed, re.MULTILINE), reader


def test_the_row_holds_the_figures_at_hpls_columns(printed):
    rows = re.findall(r"^WR.*$", printed, re.MULTILINE)
    assert len(rows) == 2
    for row, n in zip(rows, (300, 400), strict=True):
        assert re.fullmatch(r"WR11R2R4 {9}(\d{3}) {4}64     1     1 {11,15}\d+\.\d\d {12,16}\d\.\d{4}e[+-]\d\d", row), (
            row
        )
        assert f" {n} " in row
        assert len(row) == 80


def test_gflops_time_and_n_agree_with_hpls_formula(printed):
    found = re.search(READERS["row by columns"], printed, re.MULTILINE)
    n, gflops = int(found["n"]), float(found["gflops"])
    seconds = (2 / 3 * n**3 + 3 / 2 * n**2) / gflops / 1e9
    assert abs(seconds - float(found["time"])) <= 0.006


@pytest.mark.parametrize(
    ("tuning", "code"),
    [
        (LuTuning(), "WR11R2R4"),
        (LuTuning(depth=0, bcast="1ring", rfact="crout", pfact="left", nbmin=8), "WR00C2L8"),
        (LuTuning(pmap="column", bcast="longM", rfact="left", ndiv=4, pfact="crout", nbmin=32), "WC15L4C32"),
    ],
)
def test_the_variant_code_decodes_as_hpls(tuning, code):
    class Minimal:
        pass

    from dataclasses import asdict

    Minimal.tuning = asdict(tuning)
    assert hpl_text.encode(Minimal) == code


def test_without_a_threshold_nothing_is_said_of_residuals():
    header = hpl_text.header(replace(SWEEP, threshold=0.0))
    assert "residual" not in header
    assert "     2 tests completed without checking," in hpl_text.footer(["UNCHECKED", "UNCHECKED"], 0.0)


def test_the_closing_counts_are_hpls_to_the_byte():
    assert hpl_text.footer(["PASSED"] * 3 + ["FAILED"]) == (
        "=" * 80 + "\n\nFinished      4 tests with the following results:\n"
        "              3 tests completed and passed residual checks,\n"
        "              1 tests completed and failed residual checks,\n"
        "              0 tests skipped because of illegal input values.\n"
        + "-" * 80
        + "\n\nEnd of Tests.\n"
        + "=" * 80
        + "\n"
    )
