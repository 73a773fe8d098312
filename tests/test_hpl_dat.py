"""HPL.dat: read with HPL's meaning, swept in HPL's order, and refused line by line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopbench.errors import BadInput, CannotWrite
from flopbench.hpl_dat import BCASTS, FACTS, LINES, PMAPS, SWAPS, HplDat, parse, read, to_text, write

EXAMPLE = """first free line
second free line
HPL.out      output file name (if any)
6            device out (6=stdout,7=stderr,file)
2            # of problems sizes (N)
29 30        Ns
1            # of NBs
4            NBs
1            PMAP process mapping (0=Row-,1=Column-major)
2            # of process grids (P x Q)
1 2          Ps
4 2          Qs
16.0         threshold
1            # of panel fact
0            PFACTs (0=left, 1=Crout, 2=Right)
2            # of recursive stopping criterium
2 4          NBMINs (>= 1)
1            # of panels in recursion
2            NDIVs
1            # of recursive panel fact.
1            RFACTs (0=left, 1=Crout, 2=Right)
2            # of broadcast
0 5          BCASTs (0=1rg,1=1rM,2=2rg,3=2rM,4=Lng,5=LnM)
1            # of lookahead depth
0            DEPTHs (>=0)
2            SWAP (0=bin-exch,1=long,2=mix)
64           swapping threshold
0            L1 in (0=transposed,1=no-transposed) form
1            U  in (0=transposed,1=no-transposed) form
1            Equilibration (0=no,1=yes)
8            memory alignment in double (> 0)
"""


def with_line(number, text):
    lines = EXAMPLE.splitlines()
    lines[number - 1] = text
    return "\n".join(lines)


def test_every_line_has_its_meaning():
    dat = parse(EXAMPLE)
    assert dat == HplDat(
        titles=("first free line", "second free line"),
        output_file="HPL.out",
        device=6,
        ns=(29, 30),
        nbs=(4,),
        pmap="column",
        grids=((1, 4), (2, 2)),
        threshold=16.0,
        pfacts=("left",),
        nbmins=(2, 4),
        ndivs=(2,),
        rfacts=("crout",),
        bcasts=("1ring", "longM"),
        depths=(0,),
        swap="mix",
        swap_threshold=64,
        l1_transposed=True,
        u_transposed=False,
        equilibration=True,
        align=8,
    )
    assert dat.warnings == ()
    assert dat.ranks == 4


def test_sweeps_run_in_hpls_loop_order():
    cases = [(c.p, c.q, c.n, c.tuning.bcast, c.tuning.nbmin) for c in parse(EXAMPLE).cases()]
    expected = [
        (p, q, n, bcast, nbmin)
        for p, q in ((1, 4), (2, 2))
        for n in (29, 30)
        for bcast in ("1ring", "longM")
        for nbmin in (2, 4)
    ]
    assert cases == expected


def test_a_case_carries_the_whole_tuning():
    tuning = next(parse(EXAMPLE).cases()).tuning
    assert (tuning.pmap, tuning.depth, tuning.rfact, tuning.pfact, tuning.ndiv) == ("column", 0, "crout", "left", 2)
    assert (tuning.swap, tuning.swap_threshold, tuning.align) == ("mix", 64, 8)
    assert tuning.u_transposed is False and tuning.equilibration is True


def test_lines_after_the_31st_are_ignored():
    assert parse(EXAMPLE + "##### This line (no. 32) is ignored #####\n0  PTRANS\n") == parse(EXAMPLE)


@pytest.mark.parametrize(
    "line, as_xhpl", [("29    30 31     Ns", "29 30 30"), ("  29 30 31   Ns", "29 9 30")], ids=["between", "leading"]
)
def test_extra_blanks_are_read_as_written_and_warned_about(line, as_xhpl):
    text = with_line(6, line).replace("2            # of problems", "3            # of problems")
    dat = parse(text)
    assert dat.ns == (29, 30, 31)
    (warning,) = dat.warnings
    assert "line 6" in warning and f"xhpl reads it as {as_xhpl}," in warning and "flopbench as 29 30 31" in warning


def test_a_line_longer_than_xhpl_reads_is_warned_about():
    (warning,) = parse(with_line(31, "8 " + "x" * 300)).warnings
    assert "line 31" in warning and "254" in warning


@pytest.mark.parametrize(
    "number, text, got, allowed",
    [
        (3, "", "empty", "one word"),
        (4, "screen", "'screen'", "6 for stdout"),
        (5, "21", "21", "1 to 20"),
        (5, "0", "0", "1 to 20"),
        (6, "29 Ns", "'Ns'", ">= 1"),
        (6, "0 30", "0", ">= 1"),
        (6, "29", "1 values", "2"),
        (7, "x", "'x'", "1 to 20"),
        (8, "0", "0", ">= 1"),
        (9, "2", "'2'", "0 (row), 1 (column)"),
        (10, "-1", "-1", "1 to 20"),
        (11, "0 2", "0", ">= 1"),
        (12, "4 -2", "-2", ">= 1"),
        (13, "high", "'high'", "finite"),
        (13, "nan", "'nan'", "finite"),
        (14, "0", "0", "1 to 20"),
        (15, "3", "'3'", "2 (right)"),
        (16, "99", "99", "1 to 20"),
        (17, "0 4", "0", ">= 1"),
        (18, "", "empty", "one word"),
        (19, "1", "1", ">= 2"),
        (20, "1.5", "'1.5'", "1 to 20"),
        (21, "-1", "'-1'", "0 (left)"),
        (22, "0", "0", "1 to 20"),
        (23, "0 6", "'6'", "5 (longM)"),
        (24, "0", "0", "1 to 20"),
        (25, "-1", "-1", ">= 0"),
        (26, "3", "'3'", "2 (mix)"),
        (27, "-5", "-5", ">= 0"),
        (28, "2", "'2'", "0 (transposed)"),
        (29, "yes", "'yes'", "1 (not transposed)"),
        (30, "7", "'7'", "xhpl would silently take yes"),
        (31, "0", "0", "xhpl would silently take 4"),
    ],
)
def test_an_illegal_value_is_named_with_its_line_and_what_is_allowed(number, text, got, allowed):
    with pytest.raises(BadInput) as error:
        parse(with_line(number, text))
    message = str(error.value)
    assert f"HPL.dat line {number}:" in message and got in message and allowed in message
    assert "\n" not in message


@pytest.mark.parametrize("lines", range(LINES))
def test_a_file_that_ends_early_says_so(lines):
    with pytest.raises(BadInput, match=f"ends after line {lines}, but"):
        parse("\n".join(EXAMPLE.splitlines()[:lines]))


def test_a_missing_file_is_one_line_that_says_what_to_do(tmp_path):
    with pytest.raises(BadInput, match=r"cannot read .*No such file.*--dat"):
        read(tmp_path / "HPL.dat")


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(CannotWrite, match="cannot write"):
        write(parse(EXAMPLE), tmp_path / "absent" / "HPL.dat")


def test_what_hpl_has_no_code_for_is_not_written():
    with pytest.raises(BadInput, match="no code for bcast 'mpi'"):
        to_text(HplDat(ns=(8,), nbs=(2,), grids=((1, 1),), bcasts=("mpi",)))


def values(of, low=1):
    return st.lists(of, min_size=low, max_size=20).map(tuple)


@given(
    st.builds(
        HplDat,
        ns=values(st.integers(1, 10**7)),
        nbs=values(st.integers(1, 4096)),
        grids=values(st.tuples(st.integers(1, 999), st.integers(1, 999))),
        device=st.integers(0, 20),
        pmap=st.sampled_from(PMAPS),
        threshold=st.floats(-1e3, 1e3),
        pfacts=values(st.sampled_from(FACTS)),
        nbmins=values(st.integers(1, 99)),
        ndivs=values(st.integers(2, 99)),
        rfacts=values(st.sampled_from(FACTS)),
        bcasts=values(st.sampled_from(BCASTS)),
        depths=values(st.integers(0, 9)),
        swap=st.sampled_from(SWAPS),
        swap_threshold=st.integers(0, 999),
        l1_transposed=st.booleans(),
        u_transposed=st.booleans(),
        equilibration=st.booleans(),
        align=st.integers(1, 64),
    )
)
def test_what_is_written_reads_back_the_same_without_warnings(dat):
    again = parse(to_text(dat))
    assert again == dat and again.warnings == ()


def test_writing_and_reading_a_file_round_trips(tmp_path):
    path = tmp_path / "HPL.dat"
    write(parse(EXAMPLE), path)
    assert read(path) == parse(EXAMPLE)


@given(st.text())
def test_any_text_is_either_read_or_refused_in_one_line(text):
    try:
        parse(text)
    except BadInput as error:
        assert "\n" not in str(error)


def test_hpccs_own_example_reads_where_it_is_installed():
    example = Path("/usr/share/doc/hpcc/examples/_hpccinf.txt")
    if not example.exists():
        pytest.skip("Debian's hpcc is not installed here")
    assert read(example).grids == ((2, 2),)
