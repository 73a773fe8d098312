"""The control: how fast this machine's arithmetic is at this moment, measured by code that is not under test.

One process of the gate's own flopbench lives through the whole gate and measures the FP64 ceiling on request, so that base and head are
held against the very same machine code, and no leg pays for starting it.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from types import TracebackType

from flopbench.errors import BadInput, NotPossible

_MARK = "flopbench-control"


class Control:
    """The living control process; a context manager. `rate()` gives FLOP/s."""

    def __init__(self, command: list[str] | None = None) -> None:
        self._command = command or [sys.executable, "-P", "-m", "flopbench.gate.control"]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Control:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        try:
            self.rate()  # the first one compiles
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def rate(self, threads: int = 1) -> float:
        """The ceiling of so many threads now, in FLOP/s.

        Raises BadInput if the control process died, NotPossible if there is no ceiling here.
        """
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):  # a dead process is found out and named below
            self._process.stdin.write(f"{threads}\n")
            self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(_MARK):
                return self._parse(line)
        raise BadInput(f"the control ended with code {self._process.wait()}; try `flopbench info --measure`")

    @staticmethod
    def _parse(line: str) -> float:
        _, rate, *reason = line.split(maxsplit=2)
        if rate == "none":
            raise NotPossible(f"this machine has no control, so a gate cannot be trusted on it: {' '.join(reason)}")
        return float(rate)


def _serve() -> None:
    """The control process: a rate on stdout for every number of threads on stdin, until that ends."""
    from flopbench.ceiling import measure
    from flopbench.machine.detect import detect

    machine = detect()
    for threads in sys.stdin:
        found = measure("fp64", int(threads), machine)
        print(f"{_MARK} none {found}" if isinstance(found, str) else f"{_MARK} {found.flops}", flush=True)


if __name__ == "__main__":
    _serve()
