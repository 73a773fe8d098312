"""Legs: a fresh process of each side, at the same time and in turns, that runs the wanted metrics and hands back their records."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from flopbench.errors import EXIT_FAILED, EXIT_OK, BadInput
from flopbench.gate.config import Metric, Side
from flopbench.gate.pairs import Leg
from flopbench.gate.player import Player, play_all
from flopbench.results import Record, from_document

_PROGRAM = Path(__file__).with_name("leg_program.py")
#: A turn that takes longer hangs: the gate ends with an error instead of waiting for ever.
TIMEOUT_S = 900.0


@dataclass(frozen=True)
class LegRun:
    """What one process gave: the leg as the protocol sees it, and the records by metric."""

    leg: Leg
    records: dict[str, Record]


def run_legs(
    sides: Sequence[tuple[str, Side]],
    metrics: Sequence[Metric],
    ready: Callable[[], None] = lambda: None,
    timeout_s: float = TIMEOUT_S,
) -> list[LegRun]:
    """Start a process of each of the sides ("base" or "head", in this order), let them take turns, and wait for them.

    `ready` is called once, when all have come to their first repeat. Raises BadInput if one does not start, does not end (a turn of more
    than `timeout_s`), fails, or gives anything but one record a metric: that is an error of the gate's set-up and never a pass. A record
    whose verification FAILED is handed back.
    """
    with tempfile.TemporaryDirectory(prefix="flopbench-leg-") as folder, ExitStack() as stack:
        players = []
        for name, side in sides:
            place = Path(folder, name)
            place.mkdir()
            program = _program(side, metrics, place)
            players.append(stack.enter_context(Player(name, side, program, place / "log", timeout_s)))
        play_all(players, ready)
        return [
            _leg_run(player, metrics, _answers(player, side, metrics, Path(folder, name)))
            for player, (name, side) in zip(players, sides, strict=True)
        ]


def _leg_run(player: Player, metrics: Sequence[Metric], answers: list[dict]) -> LegRun:
    records = {
        metric.name: _only_record(f"{player.name} leg, metric {metric.name}", answer)
        for metric, answer in zip(metrics, answers, strict=True)
    }
    rates = {key: record.rmax_flops for key, record in records.items() if record.rmax_flops is not None}
    failures = {key: r.verification.reason for key, r in records.items() if r.verification.verdict == "FAILED"}
    in_turns = {
        name: tuple(record.times_s)
        for number, (name, record) in enumerate(records.items())
        if player.repeats[number] == len(record.times_s)
    }
    return LegRun(Leg(player.name, rates, *player.used.shares(), failures, in_turns), records)


def command_line(metric: Metric, side: Side, folder: str) -> list[str]:
    """The arguments of `flopbench` for `metric` on `side`; records that it writes go to `folder`."""
    return [*metric.run, *side.options, "--json", "--output", folder]


def _program(side: Side, metrics: Sequence[Metric], folder: Path) -> list[str]:
    task = folder / "task.json"
    task.write_text(
        json.dumps({"commands": [command_line(metric, side, str(folder / "records")) for metric in metrics]})
    )
    return [side.python or sys.executable, "-P", str(_PROGRAM), str(task), str(folder / "answer.json")]


def _answers(player: Player, side: Side, metrics: Sequence[Metric], folder: Path) -> list[dict]:
    code, log = player.exit_code, player.log.read_text(errors="replace")
    try:
        answers = json.loads((folder / "answer.json").read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{player.name} leg: ended with code {code} and no answer: {_tail(log)}") from error
    for metric, one in zip(metrics, answers, strict=True):
        if one["exit_code"] not in (EXIT_OK, EXIT_FAILED):
            raise BadInput(
                f"{player.name} leg, metric {metric.name}: `flopbench {' '.join(metric.run + side.options)}` "
                f"ended with exit code {one['exit_code']}: {_tail(log)}"
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
    return " | ".join(lines[-3:]) or "nothing was printed"
