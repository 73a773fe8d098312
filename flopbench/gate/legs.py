"""One leg: a fresh process of one side that runs the wanted metrics and hands back their records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flopbench.errors import EXIT_FAILED, EXIT_OK, BadInput
from flopbench.gate import cpu_time
from flopbench.gate.config import Metric, Side
from flopbench.gate.pairs import Leg
from flopbench.results import Record, from_document

_PROGRAM = Path(__file__).with_name("leg_program.py")
#: A leg that takes longer hangs: the gate ends with an error instead of waiting for ever.
TIMEOUT_S = 900.0


@dataclass(frozen=True)
class LegRun:
    """What one process gave: the leg as the protocol sees it, and the records by metric."""

    leg: Leg
    records: dict[str, Record]


def run_leg(name: str, side: Side, metrics: Sequence[Metric], timeout_s: float = TIMEOUT_S) -> LegRun:
    """Start one process of `side`, called `name` ("base" or "head"), and wait for it.

    Raises BadInput if it does not start, does not end, fails, or gives anything but one record a metric: that is an error of the gate's
    set-up and never a pass. A record whose verification FAILED is handed back.
    """
    before = cpu_time.now()
    with tempfile.TemporaryDirectory(prefix="flopbench-leg-") as folder:
        answers = _run_program(name, side, metrics, Path(folder), timeout_s)
    steal, neighbour = cpu_time.shares(before, cpu_time.now())
    records = {
        metric.name: _only_record(f"{name} leg, metric {metric.name}", answer)
        for metric, answer in zip(metrics, answers, strict=True)
    }
    rates = {key: record.rmax_flops for key, record in records.items() if record.rmax_flops is not None}
    failures = {key: r.verification.reason for key, r in records.items() if r.verification.verdict == "FAILED"}
    return LegRun(Leg(name, rates, steal, neighbour, failures), records)


def command_line(metric: Metric, side: Side, folder: str) -> list[str]:
    """The arguments of `flopbench` for `metric` on `side`; records that it writes go to `folder`."""
    return [*metric.run, *side.options, "--json", "--output", folder]


def _run_program(name: str, side: Side, metrics: Sequence[Metric], folder: Path, timeout_s: float) -> list[dict]:
    task, answer = folder / "task.json", folder / "answer.json"
    commands = [command_line(metric, side, str(folder / "records")) for metric in metrics]
    task.write_text(json.dumps({"commands": commands}))
    program = [side.python or sys.executable, "-P", str(_PROGRAM), str(task), str(answer)]
    try:
        done = subprocess.run(
            program, capture_output=True, text=True, timeout=timeout_s, env=os.environ | side.environment
        )
    except OSError as error:
        raise BadInput(
            f"{name} leg: cannot start {program[0]}: {error.strerror}; give a Python 3.11 or newer"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise BadInput(f"{name} leg: no end after {timeout_s:g} s; make the metrics shorter") from error
    try:
        answers = json.loads(answer.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{name} leg: ended with code {done.returncode} and no answer: {_tail(done.stderr)}") from error
    for metric, one in zip(metrics, answers, strict=True):
        if one["exit_code"] not in (EXIT_OK, EXIT_FAILED):
            raise BadInput(
                f"{name} leg, metric {metric.name}: `flopbench {' '.join(metric.run + side.options)}` "
                f"ended with exit code {one['exit_code']}: {_tail(done.stderr)}"
            )
    return answers


def _only_record(where: str, answer: dict) -> Record:
    try:
        documents = json.loads(answer["stdout"])["results"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{where}: the command printed no records; the leg measured nothing") from error
    if len(documents) != 1:
        raise BadInput(
            f"{where}: {len(documents)} records, a metric gives exactly one; name one size and one kernel (--kernel)"
        )
    record = from_document(documents[0], where)
    if record.verification.verdict not in ("PASSED", "FAILED"):
        raise BadInput(f"{where}: {record.verification.verdict} ({record.verification.reason}), so there is no rate")
    return record


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-3:]) or "nothing on stderr"
