"""The ceiling: the rate that this machine's own arithmetic units are measured to reach, on the same threads, in the same minute.

Each loop that can run (flopbench.kernel_api.CeilingLoop) is run on all threads at once; its rate is

    threads x operations per iteration x iterations / (last stop - first start)

and the ceiling is the best of a few repeats, of the widest loops: interruptions only ever lower a rate. It is the denominator where the
hardware table does not know the machine, and the control that tells a slow machine from slow code.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points

from flopbench.errors import BadInput, NotPossible
from flopbench.kernel_api import CeilingLoop
from flopbench.machine.model import Machine
from flopbench.precision import precision as known_precision
from flopbench.results import Ceiling
from flopbench.timing import Clock
from flopbench.timing import clock as the_clock

GROUP = "flopbench.ceilings"

#: Loops of one precision that are measured: the widest two, since wide registers may run at a lower clock (Intel's AVX-512).
_CANDIDATES = 2
_REPEATS = 5
#: Seconds of one repeat: long beside the start of the threads, which takes longer the more there are.
_REPEAT_S = 0.020
_REPEAT_S_PER_THREAD = 0.000_25
#: The first guess of the calibration, and the most iterations it goes to.
_FIRST_ITERATIONS, _MOST_ITERATIONS = 2_000, 1 << 40


def installed_loops() -> list[CeilingLoop]:
    """The loops of all installed packages. Raises BadInput if a package is broken."""
    loops: list[CeilingLoop] = []
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        try:
            loops += point.load()()
        except Exception as error:
            package = point.dist.name if point.dist else "unknown"
            raise BadInput(
                f"ceiling loops {point.name!r} of package {package!r} cannot be used: {type(error).__name__}: {error}"
            ) from error
    return loops


def candidates(precision: str, machine: Machine, loops: Iterable[CeilingLoop]) -> tuple[list[CeilingLoop], list[str]]:
    """(loops to measure, why others cannot run). A stand-in is taken only where none of the precision's own loops can run."""
    own: list[CeilingLoop] = []
    stand_ins: list[CeilingLoop] = []
    reasons: list[str] = []
    for loop in loops:
        if loop.precision != precision:
            continue
        reason = loop.why_not(machine)
        if reason is None:
            (stand_ins if loop.stand_in else own).append(loop)
        elif not loop.stand_in:
            reasons.append(reason)
    return (own or stand_ins)[:_CANDIDATES], reasons


def measure(
    precision: str,
    threads: int,
    machine: Machine,
    clock: Clock = the_clock,
    loops: Sequence[CeilingLoop] | None = None,
) -> Ceiling | str:
    """The ceiling of `threads` threads in `precision`, or the reason why it cannot be measured. Takes a fraction of a second.

    Args:
        precision: fp64, fp32, tf32, bf16, fp16, int8
        threads: how many run the loop at once, as many as the run that is to be held against it
        machine: tells which loops can run
        clock: seconds; tests hand in a fake
        loops: instead of the installed ones

    Raises UnknownName, BadInput.
    """
    known_precision(precision)
    if threads < 1:
        raise BadInput(f"threads must be at least 1, got {threads}")
    chosen, reasons = candidates(precision, machine, installed_loops() if loops is None else loops)
    if not chosen:
        return "; ".join(reasons) or f"there is no loop for {precision}, which no CPU computes"
    best: Ceiling | None = None
    for loop in chosen:
        try:
            loop.prepare()
        except NotPossible as error:
            reasons.append(str(error))
            continue
        rate = _rate(loop, threads, clock)
        if isinstance(rate, str):
            reasons.append(rate)
        elif best is None or rate > best.flops:
            note = f"; {loop.stand_in}" if loop.stand_in else ""
            counted = f"{threads} thread{'s' if threads > 1 else ''}, best of {_REPEATS}"
            best = Ceiling(flops=rate, method=f"{loop.method}; {counted}{note}")
    return best or "; ".join(reasons)


def measure_all(
    precisions: Iterable[str], threads: int, machine: Machine, clock: Clock = the_clock
) -> dict[str, Ceiling | str]:
    """The ceiling, or the reason, for each precision."""
    loops = installed_loops()
    return {name: measure(name, threads, machine, clock, loops) for name in precisions}


def _rate(loop: CeilingLoop, threads: int, clock: Clock) -> float | str:
    """Operations per second of all threads together, or why the loop's answer is not to be trusted."""
    iterations = _calibrate(loop, _REPEAT_S + threads * _REPEAT_S_PER_THREAD, clock)
    best = 0.0
    with ThreadPoolExecutor(threads, thread_name_prefix="ceiling") as pool:
        _together(pool, loop, iterations, threads, clock)  # wake the cores, raise the clock
        for _ in range(_REPEATS):
            seconds, values = _together(pool, loop, iterations, threads, clock)
            if len(set(values)) != 1 or not math.isfinite(values[0]):
                return (
                    f"{loop.name}: threads that computed the same got {sorted(set(values))[:3]}; is the hardware sound?"
                )
            best = max(best, threads * loop.operations * iterations / seconds)
    return best


def _calibrate(loop: CeilingLoop, target_s: float, clock: Clock) -> int:
    """Iterations that last about `target_s` on one thread: quadrupled until a tenth of it is seen, then scaled."""
    iterations = _FIRST_ITERATIONS
    while True:
        start = clock()
        loop.run(iterations)
        seconds = clock() - start
        if seconds >= target_s / 10 or iterations >= _MOST_ITERATIONS:
            return max(1, round(iterations * target_s / max(seconds, 1e-9)))
        iterations *= 4


def _together(
    pool: ThreadPoolExecutor, loop: CeilingLoop, iterations: int, threads: int, clock: Clock
) -> tuple[float, list[float]]:
    """(seconds from the first start to the last stop, each thread's value)."""
    barrier = threading.Barrier(threads)

    def one() -> tuple[float, float, float]:
        barrier.wait()
        start = clock()
        value = loop.run(iterations)
        return start, clock(), value

    done = [job.result() for job in [pool.submit(one) for _ in range(threads)]]
    return max(stop for _, stop, _ in done) - min(start for start, _, _ in done), [value for _, _, value in done]
