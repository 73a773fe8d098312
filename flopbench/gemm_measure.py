"""One Run of one GEMM kernel: warm up until the rate is steady, repeat until the median is known, check every repeat."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import msgspec
from threadpoolctl import ThreadpoolController

from flopbench import timing, turns
from flopbench.gpu import nvml
from flopbench.kernel_api import Comm, GemmProblem, Kernel
from flopbench.machine.environment import cpu_times, steal_fraction
from flopbench.machine.source import Source
from flopbench.measure import Measurement
from flopbench.progress import Progress
from flopbench.results import GpuMeters, Verification
from flopbench.verify.gemm import examine
from flopbench.verify.repeats import Watch

STEADY = 0.03  # the last WARM_RUNS warm-up runs this close together: the rate is steady
WARM_RUNS = 3
WARM_RUNS_AT_MOST = 20
WARM_SHARE = 0.25  # of the budget at most
INTERVAL = 0.02  # of the median: its 95 % interval may be that wide
LEAST_MEASURED_S = 0.2  # whatever the interval, so that the repeats span more than one tick of the scheduler
LEAST_ON_GPU_S = 1.0  # there: NVML's power needs it, see report/meters.py
LEAST_REPEATS = 5  # resetting and checking do not bring the repeats below
MOST_REPEATS = 1000
SHORT_S = 0.1  # shorter runs share one step of progress: a thread that watches each would disturb it


@dataclass(frozen=True)
class Rule:
    """When to stop. `repeats` set: exactly so many. Else until the median is known, or `budget_s` with the checks is used up."""

    budget_s: float
    repeats: int | None = None
    warm_up: bool = True
    least_s: float = LEAST_MEASURED_S

    def enough(self, times: Sequence[float], elapsed_s: float = 0.0) -> bool:
        """Whether these repeats, for which `elapsed_s` went by with resetting and checking, are all; at least one always is made.

        Up to LEAST_REPEATS only the repeats themselves count towards the budget.
        """
        if not times:
            return False
        if self.repeats is not None:
            return len(times) >= self.repeats
        used = sum(times)
        spent = max(used, elapsed_s) if len(times) >= LEAST_REPEATS else used
        if len(times) >= MOST_REPEATS or spent + statistics.median(times) > self.budget_s:
            return True
        return used >= self.least_s and known(times)

    def warm(self, times: Sequence[float]) -> bool:
        """Whether these warm-up runs will do."""
        if not self.warm_up:
            return True
        if not times:
            return False
        if len(times) >= WARM_RUNS_AT_MOST or sum(times) + times[-1] > WARM_SHARE * self.budget_s:
            return True
        last = times[-WARM_RUNS:]
        return len(last) == WARM_RUNS and max(last) - min(last) <= STEADY * min(last)


def known(times: Sequence[float]) -> bool:
    """Whether the median is known: its 95 % interval is at most INTERVAL of it wide."""
    interval = timing.median_interval(times)
    return interval is not None and interval[1] - interval[0] <= INTERVAL * statistics.median(times)


def measure_gemm(
    seen: Measurement,
    kernels: Sequence[Kernel],
    problem: GemmProblem,
    comm: Comm,
    rule: Rule,
    progress: Progress,
    threads: int = 1,
    expected_s: float | None = None,
    now: timing.Clock = timing.clock,
    settle: Callable[[], None] = timing.settle,
    region: timing.Region | None = None,
    open_card: Callable[[str], nvml.NvmlGpu | None] = nvml.NvmlGpu.by_pci_bus_id,
) -> int:
    """Run `kernels`, set up already, in turn, and put each finished and checked repeat into `seen`; stops at the first FAILED.

    Several kernels are one kernel with operands in several places (rotation). The first repeat of each is checked in full, later
    ones against it. Gives the number of warm-up runs.

    The check must not slow down the run after it: the threads of the BLAS that it uses keep spinning for a tenth of a second. So later
    repeats are checked on one thread, and after a full check `settle` waits until they sleep.
    """
    source = Source.here()
    pools = ThreadpoolController()
    settle()
    warm: list[float] = []
    with progress.step("warm-up", expected_s):
        while not rule.warm(warm):
            kernel = kernels[len(warm) % len(kernels)]
            kernel.reset()
            warm.append(timing.timed(kernel.run, comm, now))
    watches: dict[int, Watch] = {}
    address = kernels[0].gpu_address()
    card = open_card(address) if address else None
    sampler = nvml.Sampler(card) if card else None
    before = cpu_times(source)
    long = expected_s is not None and expected_s >= SHORT_S
    each = progress if long else Progress(quiet=True)
    first, at_work, waited = now(), 0.0, 0.0
    with nullcontext() if long else progress.step("repeats", None):
        while not rule.enough(seen.times_s, now() - first - waited):
            waited += turns.give_way()
            turn = len(seen.times_s) % len(kernels)
            kernel = kernels[turn]
            kernel.reset()
            began = timing.utc_now()
            settled = at_work >= nvml.LAG_S
            with each.step(f"run {len(seen.times_s) + 1}", expected_s), _metered(sampler, settled):
                seconds = timing.timed(kernel.run, comm, now, region)
            ended = timing.utc_now()
            in_full = turn not in watches
            checking = now()
            with each.step("check", None), nullcontext() if in_full else pools.limit(limits=1, user_api="blas"):
                verdict = _judge(kernel, problem, watches, turn, len(seen.times_s) + 1, seen.verification, threads)
            at_work += seconds
            if in_full:
                settle()
                at_work = 0.0
                seen.checking_s += now() - checking
            seen.add(seconds, began, ended, verdict)
            if verdict.verdict == "FAILED":
                break
    seen.steal_fraction = steal_fraction(before, cpu_times(source))
    seen.gpu_meters = _meters(sampler) if sampler else None
    return len(warm)


@contextmanager
def _metered(sampler: nvml.Sampler | None, settled: bool) -> Iterator[None]:
    """Read the GPU's meters inside, on a thread of their own that starts before the clock and ends after it."""
    if sampler is None:
        yield
        return
    sampler.resume(settled)
    try:
        yield
    finally:
        sampler.pause()


def _meters(sampler: nvml.Sampler) -> GpuMeters:
    found = sampler.of_runs()
    return GpuMeters(
        samples=found.samples,
        mean_sm_clock_hz=found.mean_sm_hz,
        min_sm_clock_hz=found.min_sm_hz,
        mean_power_w=found.mean_power_w,
        max_temperature_c=found.max_temperature_c,
        throttled=found.throttled,
    )


def _judge(
    kernel: Kernel,
    problem: GemmProblem,
    watches: dict[int, Watch],
    turn: int,
    repeat: int,
    known: Verification | None,
    threads: int,
) -> Verification:
    """The verdict on the last run of `kernel`: in full the first time, against that one later."""
    outcome = kernel.outcome()
    if turn not in watches:
        verdict, watch = examine(problem, outcome, threads=threads)
        if watch is not None:
            watches[turn] = watch
        return verdict
    differing = watches[turn].differing_columns(outcome)
    assert known is not None
    if differing.size == 0:
        return known
    verdict, _ = examine(problem, outcome, threads=threads)
    if verdict.verdict == "FAILED":
        return msgspec.structs.replace(verdict, reason=f"repeat {repeat}: {verdict.reason}")
    reason = f"repeat {repeat} differs from the first by more than rounding, first in column {differing[0]}"
    return msgspec.structs.replace(verdict, verdict="FAILED", reason=reason)
