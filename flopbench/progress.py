"""Progress on stderr: a bar on a terminal, a plain line now and then elsewhere, nothing when asked to be quiet."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from flopbench import units

FIRST_WORD_AFTER_S = 2.0
PLAIN_LINE_EVERY_S = 10.0
BAR_EVERY_S = 0.5  # each redrawing costs a millisecond of a core that the work may need


class Progress:
    """Says what is going on once it has lasted for two seconds: elapsed, the estimate, the time to go."""

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._bar = not quiet and self._stream.isatty()
        self._fraction: float | None = None

    def say(self, line: str) -> None:
        """A line of its own."""
        if not self._quiet:
            print(line, file=self._stream, flush=True)

    @contextmanager
    def step(self, label: str, expected_s: float | None) -> Iterator[Callable[[float], None]]:
        """Watch over one step. Yields a function that may be told the fraction done, where that is known."""
        self._fraction = None
        if self._quiet:
            yield self._tick
            return
        finished = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(label, expected_s, finished), daemon=True)
        watcher.start()
        try:
            yield self._tick
        finally:
            finished.set()
            watcher.join()

    def _tick(self, fraction: float) -> None:
        self._fraction = fraction

    def _watch(self, label: str, expected_s: float | None, finished: threading.Event) -> None:
        start = time.monotonic()
        if finished.wait(FIRST_WORD_AFTER_S):
            return
        if self._bar:
            self._show_bar(label, expected_s, finished, start)
            return
        while True:
            self.say(f"{label}: {self._state(time.monotonic() - start, expected_s)}")
            if finished.wait(PLAIN_LINE_EVERY_S):
                return

    def _state(self, elapsed: float, expected_s: float | None) -> str:
        if self._fraction:
            expected_s = elapsed / self._fraction
        if expected_s is None:
            return f"{units.duration(elapsed)} so far"
        if elapsed > expected_s:
            return f"{units.duration(elapsed)}, longer than the {units.duration(expected_s)} expected"
        left = units.duration(expected_s - elapsed)
        return f"{units.duration(elapsed)} of about {units.duration(expected_s)}, {left} to go"

    def _show_bar(self, label: str, expected_s: float | None, finished: threading.Event, start: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description:<22}"), BarColumn(bar_width=24), TextColumn("{task.fields[state]}"))
        with RichProgress(*columns, console=Console(file=self._stream), transient=True, auto_refresh=False) as bar:
            task = bar.add_task(label, total=1.0 if expected_s or self._fraction else None, state="")
            while not finished.wait(BAR_EVERY_S):
                elapsed = time.monotonic() - start
                done = self._fraction or (min(0.999, elapsed / expected_s) if expected_s else 0.0)
                total = 1.0 if (expected_s or self._fraction) else None
                bar.update(task, completed=done, total=total, state=self._state(elapsed, expected_s), refresh=True)
