"""Read the output of an HPL that was not flopbench's: HPL 2.x, Intel's, NVIDIA's, rocHPL. Each T/V row becomes a foreign record.

A foreign record says what could be recomputed from the text (operation count, rate, verdict against the printed residual) and lists
what could not be verified. It is never filed as verified by flopbench.
Forms: HPL 2.3 testing/ptest/HPL_pdtest.c and HPL_pdinfo.c; the variants from published logs.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import flopbench
from flopbench import results
from flopbench.errors import BadInput
from flopbench.flops import lu_solve_flops
from flopbench.inventory.checks import HPL_THRESHOLD
from flopbench.machine.model import Cpu, Machine

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
#: W (wall), R or C (process order), look-ahead, broadcast, ... as far as the program prints it; then N NB P Q time Gflops [(per GPU)].
_ROW = re.compile(
    rf"^(?P<variant>W[RC]\w*)\s+(?P<n>\d+)\s+(?P<nb>\d+)\s+(?P<p>\d+)\s+(?P<q>\d+)\s+(?P<time>{_NUMBER})\s+(?P<gflops>{_NUMBER})"
    rf"(?:\s*\(\s*{_NUMBER}\s*\))?\s*$"
)
_RESIDUAL = re.compile(
    rf"^\|\|Ax-b\|\|_oo/\(eps.*=\s*(?P<value>{_NUMBER}|nan|inf|-nan|-inf)\s*\.*\s*(?P<verdict>PASSED|FAILED)"
)
_ROC_VALUE = re.compile(rf"^Residual value\s*=\s*(?P<value>{_NUMBER})")
_ROC_VERDICT = re.compile(r"^Residual Check:\s*(?P<verdict>PASSED|FAILED)")
_START = re.compile(r"^HPL_pdgesv\(\) start time\s+(?P<time>.+?)\s*$")
_END = re.compile(r"^HPL_pdgesv\(\) end time\s+(?P<time>.+?)\s*$")
_THRESHOLD = re.compile(rf"scaled residuals are less than\s+(?P<value>{_NUMBER})")
_BANNER = re.compile(r"HPLinpack\s+(?P<version>\d+\.\d+)")
_NVIDIA = re.compile(r"HPL-NVIDIA\s+(?P<version>\d+(?:\.\d+)+)")
_NORM = re.compile(rf"^\|\|(?P<what>Ax-b|A|x|b)\|\|_oo[ .]*=\s*(?P<value>{_NUMBER})\s*$")

_VARIANT = re.compile(
    r"^W(?P<pmap>[RC])(?P<depth>\d)(?P<bcast>\d)(?P<rfact>[LCR])(?P<ndiv>\d)(?P<pfact>[LCR])(?P<nbmin>\d+)$"
)
_BCAST = ("1ring", "1ringM", "2ring", "2ringM", "Blong", "BlongM", "Psh", "Psh2")
_FACT = {"L": "left", "C": "Crout", "R": "right"}
_NORMS = {"Ax-b": "residual_inf", "A": "a_inf", "x": "x_inf", "b": "b_inf"}

NOT_VERIFIABLE = (
    "that the log was not edited",
    "the solution itself (only the printed residual is known)",
    "what was inside the timed region",
)


@dataclass
class _Row:
    """What the log says about one test, as printed."""

    variant: str
    n: int
    nb: int
    p: int
    q: int
    seconds: float
    time_text: str
    gflops: float
    gflops_text: str
    residual: float | None = None
    verdict: str | None = None
    start: str | None = None
    end: str | None = None
    norms: dict[str, float] | None = None


@dataclass(frozen=True)
class ForeignRun:
    """One test of a log: its record, what could not be verified, and why it cannot be filed (empty if it can)."""

    record: results.Record | None
    where: str
    unverified: tuple[str, ...]
    reasons: tuple[str, ...]


def read(path: Path, hostname: str = "") -> list[ForeignRun]:
    """Every test in the log at `path`, in order. Raises BadInput: no file, no HPL output."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read HPL log {path}: {error.strerror}") from error
    text = _ANSI.sub("", raw.decode("utf-8", "replace"))
    if "HPL MxP Result" in text or "HPL-MxP" in text or "HPL-AI" in text:
        raise BadInput(
            f"{path} is the output of HPL-MxP, which is not HPL: it solves in mixed precision; submit an FP64 HPL log"
        )
    rows, threshold = _rows(text)
    if not rows:
        raise BadInput(
            f"{path} has no result row of HPL (T/V N NB P Q Time Gflops); is it the output of xhpl, to the end?"
        )
    program = _program(text)
    digest = hashlib.sha256(raw).hexdigest()
    complete = "End of Tests." in text or "Final Score" in text
    return [_run(row, i, len(rows), path, program, digest, threshold, complete, hostname) for i, row in enumerate(rows)]


def _rows(text: str) -> tuple[list[_Row], float | None]:
    rows: list[_Row] = []
    threshold: float | None = None
    for line in map(str.strip, text.splitlines()):
        if found := _THRESHOLD.search(line):
            threshold = float(found["value"])
        elif found := _ROW.match(line):
            n, nb, p, q = (int(found[name]) for name in ("n", "nb", "p", "q"))
            seconds, gflops = float(found["time"]), float(found["gflops"])
            rows.append(_Row(found["variant"], n, nb, p, q, seconds, found["time"], gflops, found["gflops"], norms={}))
        elif rows:
            _add(rows[-1], line)
    return rows, threshold


def _add(row: _Row, line: str) -> None:
    if (found := _RESIDUAL.match(line)) and row.verdict is None:
        row.residual, row.verdict = float(found["value"]), found["verdict"]
    elif (found := _ROC_VALUE.match(line)) and row.residual is None:
        row.residual = float(found["value"])
    elif (found := _ROC_VERDICT.match(line)) and row.verdict is None:
        row.verdict = found["verdict"]
    elif found := _START.match(line):
        row.start = _moment(found["time"])
    elif found := _END.match(line):
        row.end = _moment(found["time"])
    elif (found := _NORM.match(line)) and row.norms is not None:
        row.norms.setdefault(_NORMS[found["what"]], float(found["value"]))


def _moment(text: str) -> str | None:
    """ctime's form as ISO 8601, without a zone, since the log has none."""
    try:
        return datetime.strptime(" ".join(text.split()), "%a %b %d %H:%M:%S %Y").isoformat()
    except ValueError:
        return None


def _program(text: str) -> str:
    banner = _BANNER.search(text)
    version = banner["version"] if banner else "of unknown version"
    if "rocHPL" in text or "Final Score" in text:
        return f"rocHPL (HPL {version})"
    if nvidia := _NVIDIA.search(text):
        return f"HPL-NVIDIA {nvidia['version']}"
    if "per GPU" in text or "cuSOLVERMp" in text:
        return f"HPL-NVIDIA (HPL {version})"
    if re.search(r"Column=\d+ Fraction=[\d.]+ Kernel=", text):
        return f"Intel MKL HPL {version}"
    return f"HPL {version}"


def _run(
    row: _Row,
    index: int,
    count: int,
    path: Path,
    program: str,
    digest: str,
    threshold: float | None,
    complete: bool,
    hostname: str,
) -> ForeignRun:
    where = str(path) if count == 1 else f"{path}, test {index + 1} of {count}"
    reasons = tuple(_reasons(row, threshold))
    unverified = tuple(_unverified(row, complete, threshold))
    if reasons:
        return ForeignRun(None, where, unverified, reasons)
    run_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"hpl-log:{digest}:{index}"))
    return ForeignRun(_record(row, run_id, program, digest, threshold, unverified, hostname), where, unverified, ())


def _reasons(row: _Row, threshold: float | None) -> Iterator[str]:
    """Why the test cannot be filed at all."""
    if row.n < 1 or row.seconds <= 0 or row.gflops <= 0:
        yield f"N, time and Gflops must be positive, got {row.n}, {row.time_text}, {row.gflops_text}"
        return
    if row.verdict != "PASSED":
        yield f"the log says {row.verdict or 'nothing about the residual'}; only a test that PASSED is filed"
        return
    limit = min(HPL_THRESHOLD, threshold) if threshold and threshold > 0 else HPL_THRESHOLD
    if row.residual is not None and not row.residual < limit:
        yield f"the log says PASSED with a residual of {row.residual:g}, which is not below {limit:g}"
    low, high = _gflops_range(row)
    half = _half_unit(row.gflops_text)
    if not low - half <= row.gflops <= high + half:
        yield (
            f"the log says {row.gflops_text} Gflops, but (2/3 N^3 + 3/2 N^2) / time with N = {row.n} and "
            f"{row.time_text} s gives {lu_solve_flops(row.n) / row.seconds / 1e9:.6g}"
        )


def _gflops_range(row: _Row) -> tuple[float, float]:
    """What the rate may be, given that the time was printed rounded."""
    half = _half_unit(row.time_text)
    work = lu_solve_flops(row.n) / 1e9
    return work / (row.seconds + half), work / max(row.seconds - half, 1e-12)


def _half_unit(text: str) -> float:
    """Half a unit in the last printed place of a number, with a little room: "16325.11" is 0.005."""
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 0.5000001 * 10.0 ** (int(exponent or 0) - decimals)


def _unverified(row: _Row, complete: bool, threshold: float | None) -> Iterator[str]:
    yield from NOT_VERIFIABLE
    yield "the machine (a log does not describe it)"
    if row.start is None:
        yield "when it ran (no start time in the log)"
    else:
        yield "the time zone of its start and end"
        if row.end is not None:
            lasted = (datetime.fromisoformat(row.end) - datetime.fromisoformat(row.start)).total_seconds()
            if abs(lasted - row.seconds) > 2.0 + 0.001 * row.seconds:
                yield f"the time: {row.time_text} s printed, but {lasted:.0f} s between its start and end stamps"
    if threshold is None:
        yield "the threshold of the residual check (not in the log)"
    if row.residual is None:
        yield "the residual (only its verdict is in the log)"
    if not complete:
        yield "that the log is whole (its closing lines are missing)"


def _record(
    row: _Row,
    run_id: str,
    program: str,
    digest: str,
    threshold: float | None,
    unverified: tuple[str, ...],
    hostname: str,
) -> results.Record:
    flop_count = lu_solve_flops(row.n)
    rmax = flop_count / row.seconds
    machine = Machine(
        hostname=hostname or "unknown",
        os="unknown",
        kernel="unknown",
        hypervisor=None,
        cpu=Cpu(architecture="unknown"),
        memory=None,
        limits=None,
        unknown={name: "an HPL log does not say" for name in ("os", "kernel", "hypervisor", "cpu", "memory", "limits")},
    )
    record = results.Record(
        schema_version=results.SCHEMA_VERSION,
        run_id=run_id,
        flopbench=results.Flopbench(version=flopbench.__version__, commit=None, dirty=None),
        time_start_utc=row.start or "unknown",
        time_end_utc=row.end or "unknown",
        kernel="lu_fp64_foreign",
        routine="lu",
        precision="fp64",
        accumulator="float64",
        backend="foreign",
        device="unknown",
        unit="FLOP/s",
        problem=results.Problem(n=row.n, nb=row.nb, p=row.p, q=row.q, seed=100),
        ranks=row.p * row.q,
        threads_per_rank=0,
        flop_count=flop_count,
        times_s=[row.seconds],
        rmax_flops=rmax,
        median_flops=rmax,
        spread=None,
        rpeak=None,
        rpeak_reason="an HPL log does not say",
        ceiling=None,
        ceiling_reason="not measured",
        efficiency=results.Efficiency(of_rpeak=None, of_ceiling=None),
        verification=results.Verification(
            verdict="PASSED",
            reason=f"as printed by {program}; not checked by flopbench",
            check="||Ax-b||_oo / (eps (||A||_oo ||x||_oo + ||b||_oo) N), as printed",
            value=row.residual,
            threshold=threshold,
            ingredients=dict(row.norms or {}),
        ),
        machine=machine,
        environment=results.Environment(
            python="none",
            libraries={},
            blas=[],
            variables={},
            kernel={"log_sha256": digest, "gflops_as_printed": row.gflops_text},
            load_average_1min=None,
            governor=None,
            warnings=[f"not verified: {what}" for what in unverified],
        ),
        energy=None,
        energy_reason="an HPL log does not say",
        tuning={"variant": row.variant, **_tuning(row.variant)},
        foreign=program,
    )
    record.content_sha256 = results.to_document(record)["content_sha256"]
    return record


def _tuning(variant: str) -> dict[str, str | int]:
    """HPL's code for a variant, spelled out: WR11C2R4 is row-major, depth 1, 1ringM, recursion Crout in 2, panels right down to 4."""
    found = _VARIANT.match(variant)
    if found is None:
        return {}
    bcast = int(found["bcast"])
    return {
        "pmap": {"R": "row-major", "C": "column-major"}[found["pmap"]],
        "depth": int(found["depth"]),
        "bcast": _BCAST[bcast] if bcast < len(_BCAST) else found["bcast"],
        "rfact": _FACT[found["rfact"]],
        "ndiv": int(found["ndiv"]),
        "pfact": _FACT[found["pfact"]],
        "nbmin": int(found["nbmin"]),
    }
