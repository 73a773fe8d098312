"""Reads meters during timed regions: from one thread, slow ones from threads of their own, and counters at both ends of a region too.

A run keeps all cores busy, and a thread that wakes up to read takes one from it: there are few, and they wake up seldom.
A counter's energy over a region is the difference of the readings at its ends; those in between only see wrap-arounds. Power is
integrated by the trapezoidal rule over the readings inside the region, held constant out to its ends.
"""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from flopbench import timing
from flopbench.energy.meter import LARGEST_POWER_W, Meter, MeterLost

#: Power readings inside a region below which its energy is not told.
LEAST_READINGS = 3


@dataclass(frozen=True)
class Use:
    """What one meter saw over the regions of a run: joules, None with the reason if it cannot be told; `readings` inside them."""

    meter: Meter
    joules: float | None
    readings: int
    reason: str | None = None


@dataclass
class Track:
    """One meter's readings: seconds of the clock, and W or, of counters, J since the first reading, wrap-arounds taken out."""

    meter: Meter
    now: timing.Clock
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    lost: str | None = None
    _last: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> None:
        """Read once more. A meter that is lost stays lost."""
        with self._lock:
            if self.lost is not None:
                return
            try:
                value = self.meter.read()
                at = self.now()
                if self.meter.quantity == "energy":
                    value = self._unwrapped(value, at)
            except MeterLost as error:
                self.lost = str(error)
                return
            self.times.append(at)
            self.values.append(value)

    def close(self) -> None:
        """Let the meter go, until the next `take`."""
        with self._lock:
            self.meter.close()

    def _unwrapped(self, raw: float, at: float) -> float:
        """J since the first reading. Raises MeterLost if the counter was set back."""
        last, self._last = self._last, raw
        if last is None:
            return 0.0
        step = raw - last
        if step < 0:
            wrapped = step + (self.meter.wrap_j or 0.0)
            if self.meter.wrap_j is None or wrapped < 0 or wrapped > LARGEST_POWER_W * max(at - self.times[-1], 1e-3):
                raise MeterLost(
                    f"{self.meter.name}: the counter went back from {last:.6g} J to {raw:.6g} J: it was reset"
                )
            step = wrapped
        return self.values[-1] + step


class Sampler:
    """The meters of one node over the timed regions of one run."""

    def __init__(
        self,
        meters: Sequence[Meter],
        now: timing.Clock = timing.clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._now, self._sleep = now, sleep
        self._tracks = [Track(meter, now) for meter in meters]
        self._regions: list[tuple[float, float]] = []
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to read: all quick meters in one thread, each slow one in its own."""
        self._end.clear()
        groups = [[track] for track in self._tracks if track.meter.slow]
        if quick := [track for track in self._tracks if not track.meter.slow]:
            groups.append(quick)
        self._threads = [threading.Thread(target=self._work, args=(group,), daemon=True) for group in groups]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        for track in self._tracks:
            track.close()

    @contextmanager
    def region(self) -> Iterator[None]:
        """Around exactly what is timed."""
        self._take_counters()
        start = self._now()
        try:
            yield
        finally:
            stop = self._now()
            self._take_counters()
            self._regions.append((start, stop))

    def idle(self, seconds: float) -> None:
        """A region in which this process does nothing."""
        with self.region():
            self._sleep(seconds)

    def uses(self) -> list[Use]:
        """What each meter saw over all regions so far."""
        return [use(track, self._regions) for track in self._tracks]

    def _take_counters(self) -> None:
        for track in self._tracks:
            if track.meter.quantity == "energy":
                track.take()

    def _work(self, tracks: Sequence[Track]) -> None:
        beat_s, every = turns([track.meter.period_s for track in tracks])
        for beat in itertools.count():
            for track, number in zip(tracks, every, strict=True):
                if beat % number == 0:
                    track.take()
            if all(track.lost is not None for track in tracks) or self._end.wait(beat_s):
                return


def turns(periods_s: Sequence[float]) -> tuple[float, list[int]]:
    """One thread's schedule for meters of these periods: seconds between its beats, and at every how many beats each meter is read.

    Beats are as far apart as the shortest period, and readings fall together; no meter is read less often than its period asks for.
    """
    beat_s = min(periods_s)
    return beat_s, [int(period_s / beat_s + 1e-9) for period_s in periods_s]


def use(track: Track, regions: Sequence[tuple[float, float]]) -> Use:
    """Energy of one meter over `regions`, in order, (start, stop) in seconds of the track's clock."""
    meter = track.meter
    if track.lost is not None:
        return Use(meter, None, len(track.times), track.lost)
    total, count = 0.0, 0
    for start, stop in regions:
        first, end = bisect_left(track.times, start), bisect_right(track.times, stop)
        count += end - first
        if meter.quantity == "energy":
            before, after = bisect_right(track.times, start) - 1, bisect_left(track.times, stop)
            if before < 0 or after == len(track.times):
                return Use(meter, None, count, f"{meter.name}: no reading at both ends of a timed region")
            total += track.values[after] - track.values[before]
            continue
        if end - first < LEAST_READINGS:
            needed = f"{LEAST_READINGS} are needed: runs of at least {LEAST_READINGS * meter.period_s:g} s"
            return Use(meter, None, count, f"{meter.name}: {end - first} readings in {stop - start:.2f} s, {needed}")
        total += integrate(track.times[first:end], track.values[first:end], start, stop)
    return Use(meter, total, count)


def integrate(times: Sequence[float], watts: Sequence[float], start: float, stop: float) -> float:
    """Joules from `start` to `stop`: trapezoids between readings, the first and last held constant out to the ends."""
    total = watts[0] * (times[0] - start) + watts[-1] * (stop - times[-1])
    for i in range(1, len(times)):
        total += (times[i] - times[i - 1]) * (watts[i] + watts[i - 1]) / 2
    return total
