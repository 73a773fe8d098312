"""Three ways to tell the result of `flopbench hpl`: a summary for people, HPL's text for parsers of xhpl, JSON for programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TextIO

from flopbench.hpl_run import Case, HplRequest
from flopbench.report import energy, hpl_text
from flopbench.report.summary import phases, plan, summary, wrapped
from flopbench.results import PlanLine, Record, to_document


class _Output:
    quiet = False

    def begin(self, request: HplRequest, cases: list[Case], lines: list[PlanLine]) -> None:
        """Before the first run."""

    def complain(self, line: str) -> None:
        print(f"flopbench: {line}", file=sys.stderr, flush=True)

    def end(self, hint: str | None) -> None:
        """After the last run."""


class Summary(_Output):
    """The plan with its reasons, then a dozen lines for each run, and its phases if `detail` is wanted."""

    def __init__(self, detail: bool = False) -> None:
        self._said: list[PlanLine] = []
        self._detail = detail

    def result(self, record: Record, saved_to: Path | None) -> None:
        new = [line for line in record.plan if line not in self._said]
        self._said += new
        print("Plan" if new == record.plan else "Next in the sweep", *plan(new), sep="\n")
        print("Result", *summary(record, str(saved_to) if saved_to else None), sep="\n", flush=True)
        if self._detail:
            print("Phases", *phases(record), sep="\n", flush=True)

    def end(self, hint: str | None) -> None:
        if hint:
            print("Next", *wrapped("full memory", hint), sep="\n", flush=True)


class HplText(_Output):
    """HPL 2.3's output, test by test as they finish."""

    def __init__(self, stream: TextIO | None = None, detail: bool = False) -> None:
        self._verdicts: list[str] = []
        self._threshold = 16.0
        self._stream = stream or sys.stdout
        self._detail = detail

    def begin(self, request: HplRequest, cases: list[Case], lines: list[PlanLine]) -> None:
        self._threshold = request.threshold
        sweep = hpl_text.Sweep(
            n=list(dict.fromkeys(case.n for case in cases)),
            nb=list(dict.fromkeys(case.nb for case in cases)),
            grid=list(dict.fromkeys((case.p, case.q) for case in cases)),
            tuning=request.tuning,
            threshold=request.threshold,
        )
        self._print(hpl_text.header(sweep))

    def result(self, record: Record, saved_to: Path | None) -> None:
        self._print(hpl_text.test(record, with_header=self._threshold > 0 or not self._verdicts))
        for label, text in energy.rows(record):
            self.complain(f"{label}: {text}" if label != "warning" else text)
        if self._detail:
            self._print("\n".join(phases(record)) + "\n")
        self._verdicts.append(record.verification.verdict)

    def end(self, hint: str | None) -> None:
        self._print(hpl_text.footer(self._verdicts, self._threshold))

    def _print(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class Json(_Output):
    """One document at the end, on stdout alone."""

    quiet = True

    def __init__(self) -> None:
        self._records: list[Record] = []

    def result(self, record: Record, saved_to: Path | None) -> None:
        self._records.append(record)

    def end(self, hint: str | None) -> None:
        print(json.dumps({"results": [to_document(record) for record in self._records]}, indent=1), flush=True)
