"""The program of one leg: runs flopbench commands, one after the other, in this fresh process. Started by path, never imported.

    PYTHON -P leg_program.py TASK ANSWER

TASK is a JSON file {"commands": [[argument, ...], ...]}; ANSWER becomes [{"exit_code": int, "stdout": str}, ...]. It runs on the Python
of the side under test, whose flopbench may be older than the gate's, so it relies on nothing but the command line: `flopbench.cli.main`.
Before each command it gives way to the other leg (player.py), through the pipes in FLOPBENCH_TURNS, which flopbench then uses, too.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path


def give_way(pipes: str) -> None:
    """Wait until it is this leg's turn to begin a command."""
    taken, given = map(int, pipes.split(","))
    os.write(given, b"c")
    os.read(taken, 1)


def run(arguments: list[str]) -> dict[str, object]:
    """Run one command in this process; what it prints on stdout is kept, stderr goes where it always goes."""
    from flopbench.cli import main

    out = io.StringIO()
    sys.argv = ["flopbench", *arguments]
    with contextlib.redirect_stdout(out):
        try:
            code = main()
        except SystemExit as stop:
            code = stop.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    return {"exit_code": code or 0, "stdout": out.getvalue()}


if __name__ == "__main__":
    task, answer = map(Path, sys.argv[1:3])
    commands = json.loads(task.read_text())["commands"]
    pipes = os.environ["FLOPBENCH_TURNS"]
    answers = []
    for arguments in commands:
        give_way(pipes)
        answers.append(run(arguments))
    answer.write_text(json.dumps(answers))
