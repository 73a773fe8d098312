"""Where the time of a run goes: the clock behind the phases that a kernel names, and their summary over the ranks."""

from __future__ import annotations

from collections.abc import Callable

from flopbench import timing
from flopbench.kernel_api import Comm
from flopbench.results import Phase

IDLE = ""


class PhaseClock:
    """The Observer of a run: adds up seconds per phase, and passes progress on."""

    def __init__(self, now: timing.Clock = timing.clock) -> None:
        self._now = now
        self._phase = IDLE
        self._since = 0.0
        self._tick: Callable[[float], None] | None = None
        self.totals: dict[str, float] = {}

    def begin(self, tick: Callable[[float], None] | None = None) -> None:
        """A run starts; `tick` wants to hear of progress."""
        self.totals = {}
        self._phase, self._tick = IDLE, tick

    def end(self) -> dict[str, float]:
        """The run is over: seconds per phase."""
        self.enter(IDLE)
        self._tick = None
        return self.totals

    def enter(self, phase: str) -> None:
        now = self._now()
        if self._phase != IDLE:
            self.totals[self._phase] = self.totals.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    def progress(self, fraction: float) -> None:
        if self._tick is not None:
            self._tick(fraction)


def mean_over_ranks(totals: dict[str, float], comm: Comm) -> dict[str, float]:
    """Mean seconds of every phase over the ranks that have any, on every rank. Collective."""
    told = [phases for phases in comm.bcast(comm.gather(totals)) if phases]
    names = dict.fromkeys(name for phases in told for name in phases)
    return {name: sum(phases.get(name, 0.0) for phases in told) / len(told) for name in names}


def over_ranks(totals: dict[str, float], comm: Comm, hostname: str) -> list[Phase]:
    """Every phase with its largest and mean time and the rank that took longest, on rank 0; empty elsewhere. Collective."""
    told = comm.gather((totals, hostname))
    if told is None:
        return []
    names = list(dict.fromkeys(name for phases, _ in told for name in phases))
    found = []
    for name in names:
        seconds = [phases.get(name, 0.0) for phases, _ in told]
        slowest = seconds.index(max(seconds))
        found.append(
            Phase(
                name=name,
                max_s=seconds[slowest],
                mean_s=sum(seconds) / len(seconds),
                slowest_rank=slowest,
                slowest_host=told[slowest][1],
            )
        )
    return found
