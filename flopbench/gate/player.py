"""A leg that takes turns: a process that computes only between `play` and the signal with which it gives way again.

It gives way before each command (leg_program.py) and before each repeat (flopbench/turns.py), and it has given way for good when it ends. A
flopbench from before turns gives way before commands only; then a turn is a whole command.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from flopbench.errors import BadInput
from flopbench.gate import cpu_time
from flopbench.gate.config import Side
from flopbench.turns import REPEAT, VARIABLE

STARTED, COMMAND, ENDED = b"s", b"c", b""


class Player:
    """The process of the leg `name`, started on the program `program`; a context manager that leaves no process behind.

    state    STARTED, then before what it waits: COMMAND, REPEAT, or nothing any more (ENDED)
    repeats  of each command: before how many it gave way
    used     CPU times of the machine during its turns
    """

    def __init__(self, name: str, side: Side, program: Sequence[str], log: Path, timeout_s: float) -> None:
        self.name, self.log, self._timeout_s = name, log, timeout_s
        self.repeats: Counter[int] = Counter()
        self.used = cpu_time.CpuTimes()
        self._commands = 0
        self._from_leg, given = os.pipe()
        taken, self._to_leg = os.pipe()
        environment = os.environ | side.environment | {VARIABLE: f"{taken},{given}"}
        try:
            with log.open("w") as stream:
                self._process = _started(name, program, environment, (taken, given), stream)
        except BaseException:
            self._close()
            raise
        finally:
            os.close(taken)
            os.close(given)
        self.state = STARTED

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._close()

    @property
    def exit_code(self) -> int:
        """Of the process, once it has ended. Raises BadInput if it gives way for good and does not end."""
        try:
            return self._process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            raise self._endless() from None

    def play(self) -> None:
        """One turn: until the process gives way again, or ends."""
        before = cpu_time.now(self._process.pid)
        if self.state != STARTED:
            with suppress(BrokenPipeError):  # it died while it waited: the signal says so
                os.write(self._to_leg, b"g")
        self.state = self._signal()
        self.used += cpu_time.now(self._process.pid) - before
        if self.state == COMMAND:
            self._commands += 1
        elif self.state == REPEAT:
            self.repeats[self._commands - 1] += 1

    def _signal(self) -> bytes:
        poll = select.poll()
        poll.register(self._from_leg, select.POLLIN)
        if not poll.poll(1000 * self._timeout_s):
            raise self._endless()
        return os.read(self._from_leg, 1)

    def _endless(self) -> BadInput:
        return BadInput(f"{self.name} leg: no end after {self._timeout_s:g} s; make the metrics shorter")

    def _close(self) -> None:
        os.close(self._from_leg)
        os.close(self._to_leg)


def _started(
    name: str, program: Sequence[str], environment: dict[str, str], pipes: tuple[int, int], log: IO[str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            program, env=environment, pass_fds=pipes, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise BadInput(
            f"{name} leg: cannot start {program[0]}: {error.strerror}; give a Python 3.11 or newer"
        ) from error


def play_all(players: Sequence[Player], ready: Callable[[], None] = lambda: None) -> None:
    """Let the players compute in turns until all have ended; `ready` is called once, when all have come to their first repeat.

    They begin each command together. Whoever has no repeat left waits for those that have.
    """
    told = False
    while any(player.state != ENDED for player in players):
        repeating = [player for player in players if player.state == REPEAT]
        if not told and len(repeating) == len(players):
            told = True
            ready()
        for player in repeating or players:
            if player.state != ENDED:
                player.play()
