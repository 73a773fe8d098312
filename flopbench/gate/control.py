"""The control: how fast this machine's arithmetic is at this moment, measured by code that is not under test.

One process of the gate's own flopbench lives through the whole gate and measures the FP64 ceiling on request, so that base and head are
held against the very same machine code, and no leg pays for starting it.
"""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType

from flopbench.errors import BadInput

_MARK = "flopbench-control"


class Control:
    """The living control process; a context manager. `rate()` gives FLOP/s."""

    def __init__(self, command: list[str] | None = None) -> None:
        self._command = command or [sys.executable, "-P", "-m", "flopbench.gate.control"]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Control:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
        )
        self.rate()  # the first one compiles
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def rate(self) -> float:
        """The ceiling now, in FLOP/s. Raises BadInput if the control process died."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write("measure\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the loop below finds out and says so
        for line in self._process.stdout:
            if line.startswith(_MARK):
                return float(line.split()[1])
        raise BadInput(f"the control ended with code {self._process.wait()}; try `flopbench info --measure`")


def _serve() -> None:
    """The control process: one rate a line on stdout for every line on stdin, until that ends."""
    raise NotImplementedError


if __name__ == "__main__":
    _serve()
