"""One Run of one kernel: setup, [reset, timed run, check] x repeats. The same for every routine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flopbench import timing, turns
from flopbench.blas_threads import take_control
from flopbench.kernel_api import Comm, Kernel
from flopbench.machine.environment import cpu_times, steal_fraction
from flopbench.machine.source import Source
from flopbench.phases import PhaseClock
from flopbench.progress import Progress
from flopbench.results import GpuMeters, Verification

#: Judges an outcome: the verdict with its ingredients. The second argument is told the fraction of the check done.
Check = Callable[[Any, Callable[[float], None]], Verification]


@dataclass
class Measurement:
    """What was seen: seconds of each finished repeat, when each began and ended (UTC), the worst verdict."""

    times_s: list[float] = field(default_factory=list)
    run_times_utc: list[tuple[str, str]] = field(default_factory=list)
    verification: Verification | None = None
    interrupted: bool = False
    phases: list[dict[str, float]] = field(default_factory=list)  # of each repeat: seconds of this rank per phase
    gpu_meters: GpuMeters | None = None
    checking_s: float = 0.0  # what checks in full took, where the routine tells
    steal_fraction: float | None = None  # of the CPU time, from the first repeat to the last

    @property
    def passed(self) -> bool:
        return self.verification is not None and self.verification.verdict == "PASSED"

    def add(self, seconds: float, began: str, ended: str, verdict: Verification) -> None:
        """One finished and checked repeat. The verification is set first: a reader never sees a time without a verdict."""
        self.verification = worse(self.verification, verdict)
        self.run_times_utc.append((began, ended))
        self.times_s.append(seconds)


def measure(
    seen: Measurement,
    kernel: Kernel,
    problem: Any,
    comm: Comm,
    machine: Any,
    check: Check,
    repeats: int,
    progress: Progress,
    expected_s: float | None = None,
    now: timing.Clock = timing.clock,
    phases: PhaseClock | None = None,
    operations: float | None = None,
    region: timing.Region | None = None,
) -> None:
    """Run `kernel` on `problem`, check every repeat, and put each finished one into `seen`; stops at the first FAILED.

    `operations` of one run, where given, let progress show the rate so far.
    """
    source = Source.here()
    before = cpu_times(source)
    try:
        with progress.step("allocate", None):
            kernel.setup(problem, comm, machine)
        for repeat in range(1, repeats + 1):
            turns.give_way()
            with progress.step("generate", None):
                kernel.reset()
            began = timing.utc_now()
            label = f"run {repeat} of {repeats}" if repeats > 1 else "run"
            with progress.step(label, expected_s, operations) as told:
                if phases is not None:
                    phases.begin(told)
                seconds = timing.timed(kernel.run, comm, now, region)
            if phases is not None:
                seen.phases.append(phases.end())
            ended = timing.utc_now()
            with progress.step("check", None) as tick:
                verdict = check(kernel.outcome(), tick)
            seen.add(seconds, began, ended, verdict)
            seen.steal_fraction = steal_fraction(before, cpu_times(source))
            if verdict.verdict == "FAILED":
                break
    finally:
        kernel.close()


def measure_interruptibly(seen: Measurement, comm: Comm, work: Callable[[], None]) -> None:
    """Call `work`, which fills `seen`; Ctrl-C is heard at once even inside a library call of minutes, and keeps what is in `seen`.

    On one process `work` runs on a thread of its own, all of it, since CUDA contexts belong to threads. After an interruption that
    thread may still compute: the caller must leave by os._exit. Under MPI `work` stays on the thread that initialised MPI.
    """
    if comm.size > 1:
        try:
            work()
        except KeyboardInterrupt:
            seen.interrupted = True
        return
    failure: list[BaseException] = []

    def guarded() -> None:
        try:
            take_control()  # kernels limit the threads of their BLAS in setup
            work()
        except BaseException as error:
            failure.append(error)

    worker = threading.Thread(target=guarded, daemon=True)
    try:
        worker.start()
        while worker.is_alive():
            worker.join(0.1)
    except KeyboardInterrupt:
        seen.interrupted = True
        return
    if failure:
        raise failure[0]


def worse(first: Verification | None, second: Verification) -> Verification:
    """The verdict of a set of repeats: a FAILED one, else the one nearest to its threshold."""
    if first is None or second.verdict == "FAILED":
        return second
    if first.verdict == "FAILED":
        return first
    return second if (second.value or 0.0) > (first.value or 0.0) else first
