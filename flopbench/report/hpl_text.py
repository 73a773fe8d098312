"""HPL 2.3's own output, byte for byte in form, so that whatever reads xhpl's output reads ours.

Source of the form: HPL 2.3, testing/ptest/HPL_pdinfo.c (banner, echo), HPL_pdtest.c (rows), HPL_pddriver.c (closing counts).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flopbench.kernel_api import LuTuning
from flopbench.results import Record
from flopbench.verify.lu import EPS

RULE = "=" * 80
DASHES = "-" * 80
PFACT = {"left": "    Left ", "crout": "   Crout ", "right": "   Right "}
BCAST = {
    "1ring": "   1ring ",
    "1ringM": "  1ringM ",
    "2ring": "   2ring ",
    "2ringM": "  2ringM ",
    "long": "   Blong ",
    "longM": "  BlongM ",
}
_BCAST_CODE = {name: code for code, name in enumerate(BCAST)}
_ROW_HEADER = "T/V                N    NB     P     Q               Time                 Gflops"
_RESIDUAL_LABEL = "||Ax-b||_oo/(eps*(||A||_oo*||x||_oo+||b||_oo)*N)="


@dataclass(frozen=True)
class Sweep:
    """The parameters that HPL echoes before the first test."""

    n: Sequence[int]
    nb: Sequence[int]
    grid: Sequence[tuple[int, int]]
    tuning: Sequence[LuTuning]
    threshold: float = 16.0


def header(sweep: Sweep) -> str:
    """Banner, legend and echo of the parameters."""
    first = sweep.tuning[0]
    pmap = "Row-major process mapping" if first.pmap == "row" else "Column-major process mapping"
    swap = {
        "binexch": "Binary-exchange",
        "long": "Spread-roll (long)",
        "mix": f"Mix (threshold = {first.swap_threshold})",
    }
    lines = [
        RULE,
        "HPLinpack 2.3  --  High-Performance Linpack benchmark  --   December 2, 2018",
        "Written by A. Petitet and R. Clint Whaley,  Innovative Computing Laboratory, UTK",
        "Modified by Piotr Luszczek, Innovative Computing Laboratory, UTK",
        "Modified by Julien Langou, University of Colorado Denver",
        RULE,
        "",
        "An explanation of the input/output parameters follows:",
        "T/V    : Wall time / encoded variant.",
        "N      : The order of the coefficient matrix A.",
        "NB     : The partitioning blocking factor.",
        "P      : The number of process rows.",
        "Q      : The number of process columns.",
        "Time   : Time in seconds to solve the linear system.",
        "Gflops : Rate of execution for solving the linear system.",
        "",
        "The following parameter values will be used:",
        "",
        *_echo("N      :", [f"{n:8d} " for n in sweep.n]),
        *_echo("NB     :", [f"{nb:8d} " for nb in sweep.nb]),
        f"PMAP   : {pmap}",
        *_echo("P      :", [f"{p:8d} " for p, _ in sweep.grid]),
        *_echo("Q      :", [f"{q:8d} " for _, q in sweep.grid]),
        *_echo("PFACT  :", _distinct(PFACT[t.pfact] for t in sweep.tuning)),
        *_echo("NBMIN  :", _distinct(f"{t.nbmin:8d} " for t in sweep.tuning)),
        *_echo("NDIV   :", _distinct(f"{t.ndiv:8d} " for t in sweep.tuning)),
        *_echo("RFACT  :", _distinct(PFACT[t.rfact] for t in sweep.tuning)),
        *_echo("BCAST  :", _distinct(BCAST.get(t.bcast, f"{t.bcast:>8} ") for t in sweep.tuning)),
        *_echo("DEPTH  :", _distinct(f"{t.depth:8d} " for t in sweep.tuning)),
        f"SWAP   : {swap[first.swap]}",
        f"L1     : {'transposed' if first.l1_transposed else 'no-transposed'} form",
        f"U      : {'transposed' if first.u_transposed else 'no-transposed'} form",
        f"EQUIL  : {'yes' if first.equilibration else 'no'}",
        f"ALIGN  : {first.align} double precision words",
        "",
    ]
    if sweep.threshold > 0:
        lines += [
            DASHES,
            "",
            "- The matrix A is randomly generated for each test.",
            "- The following scaled residual check will be computed:",
            "      ||Ax-b||_oo / ( eps * ( || x ||_oo * || A ||_oo + || b ||_oo ) * N )",
            f"- The relative machine precision (eps) is taken to be{EPS:27.6e}",
            f"- Computational tests pass if scaled residuals are less than{sweep.threshold:20.1f}",
            "",
        ]
    return "\n".join(lines) + "\n"


def test(record: Record, with_header: bool = True) -> str:
    """One test: the T/V row of the best repeat, its start and end, and the residual line."""
    problem, found = record.problem, record.verification
    best = min(range(len(record.times_s)), key=record.times_s.__getitem__)
    seconds = record.times_s[best]
    gflops = record.flop_count / seconds / 1e9
    lines = [RULE, _ROW_HEADER, DASHES] if with_header else []
    lines.append(
        f"{encode(record):s}{problem.n:12d} {problem.nb:5d} {problem.p:5d} {problem.q:5d} {seconds:18.2f}    {gflops:19.4e}"
    )
    begin, end = record.run_times_utc[best]
    lines += [f"HPL_pdgesv() start time {_ctime(begin)}", "", f"HPL_pdgesv() end time   {_ctime(end)}", ""]
    if found.verdict in ("PASSED", "FAILED"):
        value = float("nan") if found.value is None else found.value
        lines += [DASHES, f"{_RESIDUAL_LABEL} {value:16.8e} ...... {found.verdict}"]
    if found.verdict == "FAILED":
        lines += [
            f"{label}{_number(found.ingredients.get(key)):18.6f}"
            for label, key in (
                ("||Ax-b||_oo  . . . . . . . . . . . . . . . . . = ", "residual_inf"),
                ("||A||_oo . . . . . . . . . . . . . . . . . . . = ", "a_inf"),
                ("||A||_1  . . . . . . . . . . . . . . . . . . . = ", "a_one"),
                ("||x||_oo . . . . . . . . . . . . . . . . . . . = ", "x_inf"),
                ("||x||_1  . . . . . . . . . . . . . . . . . . . = ", "x_one"),
                ("||b||_oo . . . . . . . . . . . . . . . . . . . = ", "b_inf"),
            )
        ]
    return "\n".join(lines) + "\n"


def footer(verdicts: Sequence[str], threshold: float = 16.0) -> str:
    """The closing counts."""
    passed, failed = (sum(verdict == which for verdict in verdicts) for which in ("PASSED", "FAILED"))
    skipped = sum(verdict == "SKIPPED" for verdict in verdicts)
    lines = [RULE, "", f"Finished {len(verdicts):6d} tests with the following results:"]
    if threshold > 0:
        lines += [
            f"         {passed:6d} tests completed and passed residual checks,",
            f"         {failed:6d} tests completed and failed residual checks,",
        ]
    else:
        lines.append(f"         {len(verdicts) - skipped:6d} tests completed without checking,")
    lines += [
        f"         {skipped:6d} tests skipped because of illegal input values.",
        DASHES,
        "",
        "End of Tests.",
        RULE,
    ]
    return "\n".join(lines) + "\n"


def encode(record: Record) -> str:
    """The variant code, W <map> <depth> <bcast> <RFACT> <NDIV> <PFACT> <NBMIN>: WR11C2R4 and the like."""
    t = record.tuning
    pmap = "R" if t["pmap"] == "row" else "C"
    bcast = _BCAST_CODE.get(t["bcast"], len(_BCAST_CODE))
    return f"W{pmap}{t['depth']:1d}{bcast}{t['rfact'][0].upper()}{t['ndiv']:1d}{t['pfact'][0].upper()}{t['nbmin']:1d}"


def _echo(label: str, cells: Sequence[str]) -> list[str]:
    """HPL's list: eight values a line, further lines indented by eight blanks."""
    rows = ["".join(cells[start : start + 8]) for start in range(0, len(cells), 8)]
    return [(label if index == 0 else "        ") + row for index, row in enumerate(rows)]


def _distinct(cells: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(cells))


def _ctime(utc: str) -> str:
    """Local time as C's ctime prints it, from a record's UTC stamp."""
    return time.ctime(datetime.fromisoformat(utc.replace("Z", "+00:00")).timestamp())


def _number(value: float | int | str | None) -> float:
    return float("nan") if value is None else float(value)
