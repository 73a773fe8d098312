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
        self._told_at = 0.0  # when the fraction was told
        self._operations: float | None = None

    def say(self, line: str) -> None:
        """A line of its own."""
        if not self._quiet:
            print(line, file=self._stream, flush=True)

    @contextmanager
    def step(
        self, label: str, expected_s: float | None, operations: float | None = None
    ) -> Iterator[Callable[[float], None]]:
        """Watch over one step. Yields a function that may be told the fraction done, where that is known.

        Of a step that is `operations` FLOP long, the rate so far is shown, too: fraction times operations over the time it took.
        """
        self._fraction, self._operations = None, operations
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
        self._told_at = time.monotonic()
        self._fraction = fraction

    def _watch(self, label: str, expected_s: float | None, finished: threading.Event) -> None:
        start = time.monotonic()
        if finished.wait(FIRST_WORD_AFTER_S):
            return
        if self._bar:
            self._show_bar(label, expected_s, finished, start)
            return
        while True:
            self.say(f"{label}: {self._state(start, expected_s)}")
            if finished.wait(PLAIN_LINE_EVERY_S):
                return

    def _state(self, start: float, expected_s: float | None) -> str:
        elapsed, so_far = time.monotonic() - start, ""
        if self._fraction:
            taken = self._told_at - start
            expected_s = taken / self._fraction
            so_far = f"{units.percent(self._fraction)}"
            if self._operations:
                so_far += f" at {units.rate(self._fraction * self._operations / taken)} so far"
            so_far += ", "
        if expected_s is None:
            return f"{so_far}{units.duration(elapsed)} so far"
        if elapsed > expected_s:
            return f"{so_far}{units.duration(elapsed)}, longer than the {units.duration(expected_s)} expected"
        left = units.duration(expected_s - elapsed)
        return f"{so_far}{units.duration(elapsed)} of about {units.duration(expected_s)}, {left} to go"

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
                bar.update(task, completed=done, total=total, state=self._state(start, expected_s), refresh=True)
