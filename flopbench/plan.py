"""The choices of a run, each with its reason: N from time or memory, NB, repeats, threads. Pure functions of what they are given."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from flopbench import units
from flopbench.errors import BadInput
from flopbench.flops import lu_solve_flops
from flopbench.machine.model import Limits
from flopbench.results import PlanLine

DEFAULT_SECONDS = 45.0
MEMORY_FRACTION = 0.80  # of what is available now: HPL's TUNING advises 80 % of memory
MAX_REPEATS = 3
WARM_UP_N = 1000
CALIBRATION_N = 2500
CALIBRATION_RUNS = 2  # the better one counts: a hiccup of the machine would make N too small
MIN_CHOSEN_N = 1000
N_LIMIT = 2**31 - 1  # LAPACK's and HPL's integers


@dataclass(frozen=True)
class RateModel:
    """Rate as a function of N, r(N) = r_inf N / (N + n_half): Hockney's two-parameter form, from two short runs.

    Source: R. W. Hockney, C. R. Jesshope, Parallel Computers (1981): r_inf and n_1/2.
    """

    r_inf: float  # FLOP/s
    n_half: float

    @classmethod
    def fit(cls, n1: int, seconds1: float, n2: int, seconds2: float) -> RateModel:
        """From the times of two sizes n1 < n2; timing noise that would give a falling rate is read as a flat one."""
        r1, r2 = lu_solve_flops(n1) / seconds1, lu_solve_flops(n2) / seconds2
        slope = (1.0 / r1 - 1.0 / r2) / (1.0 / n1 - 1.0 / n2)
        intercept = 1.0 / r2 - slope / n2
        if slope <= 0.0 or intercept <= 0.25 / r2:  # flat, or extrapolating to more than four times what was seen
            return cls(r2, 0.0)
        return cls(1.0 / intercept, slope / intercept)

    def seconds(self, n: int) -> float:
        """Predicted time of factor and solve at N = n."""
        return lu_solve_flops(n) * (1.0 + self.n_half / n) / self.r_inf

    def largest_n(self, seconds: float) -> int:
        """The largest N that is predicted to take at most `seconds`; at least 1."""
        return largest_within(self.seconds, seconds)


class TimeModel(Protocol):
    """What predicts the time of a run."""

    def seconds(self, n: int) -> float: ...
    def largest_n(self, seconds: float) -> int: ...


def largest_within(time_of: Callable[[int], float], seconds: float) -> int:
    """The largest N with time_of(N) <= seconds, for a time that grows with N; at least 1."""
    low, high = 1, 2
    while time_of(high) <= seconds and high < N_LIMIT:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if time_of(middle) <= seconds else (low, middle)
    return low


@dataclass(frozen=True)
class Room:
    """Memory that a run may take: bytes available to all ranks together, and in whose words."""

    bytes: int
    reason: str

    def largest_n(self, fraction: float) -> int:
        """The largest N whose matrix fits into `fraction` of the room: 8 N (N + 1) bytes, and 2 % for workspaces."""
        return max(1, int(math.sqrt(self.bytes * fraction / (8 * 1.02))) - 1)


def require_positive(name: str, value: float, allowed: str) -> None:
    """Raises BadInput unless value is a finite number above zero."""
    if not (math.isfinite(value) and value > 0):
        raise BadInput(f"{name} is {value}; allowed: {allowed}")


def check_n(n: int, needed_bytes: int, room: Room) -> None:
    """Raises BadInput if N is not possible at all, or needs more memory than there is."""
    if not 1 <= n <= N_LIMIT:
        raise BadInput(f"--n is {n}; allowed: 1 to {N_LIMIT}")
    if needed_bytes > room.bytes:
        largest = room.largest_n(0.95)
        raise BadInput(
            f"--n {n} needs {units.size(needed_bytes)}, but {units.size(room.bytes)} are available ({room.reason}); "
            f"the largest that fits is about --n {largest}"
        )


def check_grid(p: int, q: int, ranks: int) -> None:
    """Raises BadInput if the grid P x Q needs more ranks than there are."""
    if p * q > ranks:
        raise BadInput(
            f"--grid {p}x{q} needs {p * q} ranks, there are {ranks}; start it with: mpiexec -n {p * q} flopbench hpl ..."
        )


def round_to_blocks(n: int, nb: int) -> int:
    """N as a multiple of NB if it is at least one block, so that no run ends in a sliver."""
    return n // nb * nb if n >= nb else n


def choose_threads(asked: int | None, limits: Limits, ranks_here: int) -> tuple[int, PlanLine]:
    """Threads per rank: the cores that this process may use, shared among the ranks of the host."""
    if asked is not None:
        return asked, PlanLine(choice="threads", value=str(asked), reason="as asked")
    threads = max(1, limits.usable_cores // ranks_here)
    if ranks_here > 1:
        reason = f"{limits.usable_cores} usable cores for {ranks_here} ranks on this host"
    elif limits.quota_cpus is not None and limits.quota_cpus < limits.affinity_cores:
        reason = f"the control group allows {limits.quota_cpus:g} CPUs of {limits.affinity_cores} cores"
    else:
        reason = "one for each core that this process may use; hardware threads are not counted"
    return threads, PlanLine(choice="threads", value=str(threads), reason=reason)


def choose_nb(isa: frozenset[str], device: str = "cpu") -> PlanLine:
    """NB by vector width: a small multiple of the GEMM's own blocking (Intel's HPL guidance; HPL 2.3, TUNING); larger on a GPU."""
    if device == "cuda":
        return PlanLine(choice="NB", value="1024", reason="GPU: what published HPL runs on NVIDIA GPUs take")
    if "avx512f" in isa:
        return PlanLine(choice="NB", value="384", reason="AVX-512: the size that Intel's guidance gives")
    return PlanLine(choice="NB", value="192", reason="a small multiple of the GEMM blocking, within HPL's 32 to 256")


def choose_n_by_time(model: TimeModel, seconds: float, repeats: int, nb: int, room: Room) -> tuple[int, str]:
    """N such that `repeats` timed runs take about `seconds` together and the matrix fits."""
    by_time = max(MIN_CHOSEN_N, model.largest_n(seconds / repeats))
    by_memory = room.largest_n(MEMORY_FRACTION)
    if by_memory < by_time:
        share = units.percent(MEMORY_FRACTION)
        return round_to_blocks(
            by_memory, nb
        ), f"{share} of {units.size(room.bytes)} ({room.reason}); time would allow {by_time}"
    n = round_to_blocks(by_time, nb)
    return n, (
        f"{repeats} x {units.duration(model.seconds(n))} expected from a short calibration, for --time {seconds:g}"
        if repeats > 1
        else f"{units.duration(model.seconds(n))} expected from a short calibration, for --time {seconds:g}"
    )


def check_memory_fraction(fraction: float) -> None:
    """Raises BadInput for a fraction outside (0, 0.95]."""
    if not (math.isfinite(fraction) and 0 < fraction <= 0.95):
        raise BadInput(f"--memory is {fraction}; allowed: above 0, up to 0.95 (HPL's guidance is 0.8)")


def choose_n_by_memory(fraction: float, nb: int, room: Room) -> tuple[int, str]:
    """N whose matrix fills `fraction` of the memory that is available. Raises BadInput for a fraction outside (0, 0.95]."""
    check_memory_fraction(fraction)
    n = round_to_blocks(room.largest_n(fraction), nb)
    return n, f"{units.percent(fraction)} of {units.size(room.bytes)} ({room.reason})"


def repeats_of_full_memory(model: TimeModel, seconds: float, room: Room) -> int:
    """How often a matrix that fills the memory can run in `seconds`, 1 to 3: where the rate grows with N, N comes before repeats."""
    return max(1, min(MAX_REPEATS, int(seconds / model.seconds(room.largest_n(MEMORY_FRACTION)))))


def choose_repeats(predicted_seconds: float, budget: float) -> tuple[int, str]:
    """As many repeats as fit the budget, 1 to 3, with a tenth of grace: N may have been chosen so that they fit, by a prediction."""
    fitting = int(1.1 * budget / predicted_seconds) if predicted_seconds > 0 else MAX_REPEATS
    repeats = max(1, min(MAX_REPEATS, fitting))
    if repeats == MAX_REPEATS:
        return repeats, "enough for a median and a spread"
    return repeats, f"one takes about {units.duration(predicted_seconds)} and --time is {budget:g} s"


def full_memory_hint(model: TimeModel | None, nb: int, room: Room, chosen: int, command: str) -> str | None:
    """Which command fills the memory, and how long it will take; None if N = `chosen` does. No time without a model that tells."""
    n = round_to_blocks(room.largest_n(MEMORY_FRACTION), nb)
    if chosen >= n:
        return None
    time = f" in about {units.duration(model.seconds(n))}" if model else ""
    return f"{command} --memory {MEMORY_FRACTION:g} runs N = {n}{time}; Rmax grows with N"
