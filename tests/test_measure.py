"""The run loop: the clock sees the work and nothing else, every repeat is checked, Ctrl-C keeps what is finished."""

from contextlib import contextmanager

import numpy  # noqa: F401  brings a BLAS
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from flopbench.comm import SelfComm
from flopbench.measure import Measurement, measure, measure_interruptibly, worse
from flopbench.progress import Progress
from flopbench.results import Verification
from flopbench.timing import spread, timed


class Clock:
    """Time that passes only when somebody works."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class FakeKernel:
    """Every step takes time; only run's may be seen. `events` is the order of what happened."""

    routine = "lu"

    def __init__(self, clock, run_s=2.0):
        self.clock, self.run_s, self.events = clock, run_s, []

    def setup(self, problem, comm, machine):
        self.clock.now += 1000
        self.events.append("setup")

    def reset(self):
        self.clock.now += 300
        self.events.append("reset")

    def run(self):
        self.clock.now += self.run_s
        self.events.append("run")

    def outcome(self):
        self.clock.now += 50
        self.events.append("outcome")
        return len(self.events)

    def close(self):
        self.events.append("close")


def verdict(word="PASSED", value=1.0):
    return Verification(verdict=word, reason="", check="", value=value, threshold=16.0, ingredients={})


def go(kernel, repeats, check, clock):
    seen = Measurement()
    measure(seen, kernel, None, SelfComm(), None, check, repeats, Progress(quiet=True), now=clock)
    return seen


def test_only_the_run_is_timed_and_every_repeat_is_reset_and_checked():
    clock = Clock()
    kernel = FakeKernel(clock)
    seen = go(kernel, 3, lambda outcome, tick: verdict(), clock)
    assert seen.times_s == [2.0, 2.0, 2.0]
    assert kernel.events == ["setup", *["reset", "run", "outcome"] * 3, "close"]
    assert len(seen.run_times_utc) == 3


def test_a_failed_check_ends_the_run_and_is_the_verdict():
    clock = Clock()
    verdicts = iter([verdict(), verdict("FAILED"), verdict()])
    kernel = FakeKernel(clock)
    seen = go(kernel, 3, lambda outcome, tick: next(verdicts), clock)
    assert (seen.verification.verdict, len(seen.times_s), kernel.events[-1]) == ("FAILED", 2, "close")


def test_the_verdict_of_several_is_the_one_nearest_to_its_threshold():
    assert worse(None, verdict(value=1.0)).value == 1.0
    assert worse(verdict(value=3.0), verdict(value=1.0)).value == 3.0
    assert worse(verdict("FAILED"), verdict(value=99.0)).verdict == "FAILED"
    assert worse(verdict(value=99.0), verdict("FAILED", None)).verdict == "FAILED"


def test_a_kernel_that_breaks_is_closed_and_its_error_comes_out():
    clock = Clock()
    kernel = FakeKernel(clock)

    def explode():
        raise MemoryError("no room")

    kernel.run = explode
    with pytest.raises(MemoryError):
        go(kernel, 1, lambda outcome, tick: verdict(), clock)
    assert kernel.events[-1] == "close"


def test_an_error_on_the_worker_thread_reaches_the_caller():
    def work():
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        measure_interruptibly(Measurement(), SelfComm(), work)


def test_time_is_the_longest_over_the_ranks():
    class TwoRanks(SelfComm):
        barriers = 0

        def barrier(self):
            self.barriers += 1

        def max(self, value):
            return max(value, 5.0)

    clock, comm = Clock(), TwoRanks()
    assert timed(FakeKernel(clock, run_s=2.0).run, comm, clock) == 5.0
    assert comm.barriers == 1


def test_a_region_begins_behind_the_barrier_and_lasts_as_long_as_the_seconds():
    clock, told = Clock(), []

    class LateRank(SelfComm):
        """Another rank comes to the barrier 100 s late, opens its region in no time, and runs 3 s longer."""

        late_s = 100.0

        def barrier(self):
            clock.now += self.late_s
            self.late_s = 0.0

        def max(self, value):
            clock.now += 3.0
            return value + 3.0

    @contextmanager
    def region():
        told.append(clock())
        yield
        told.append(clock())

    seconds = timed(FakeKernel(clock, run_s=2.0).run, LateRank(), clock, region)
    begin, end = told
    assert (begin, end - begin, seconds) == (200.0, 5.0, 5.0)


def test_other_ranks_start_their_clocks_when_the_one_that_reads_meters_is_ready():
    events = []

    class Noted(SelfComm):
        def barrier(self):
            events.append("barrier")

    @contextmanager
    def region():
        events.append("meters read")
        yield
        events.append("meters read")

    timed(lambda: events.append("run"), Noted(), Clock(), region)
    assert events == ["barrier", "meters read", "barrier", "run", "meters read"]


def test_the_spread_is_relative_to_the_median():
    found = spread([2.0, 4.0, 3.0])
    assert (found.min_s, found.median_s, found.max_s, found.relative_range) == (2.0, 3.0, 4.0, 2.0 / 3.0)


def test_a_kernel_may_limit_the_threads_of_its_blas_although_it_is_not_set_up_on_the_main_thread():
    seen = []

    def work():
        with threadpool_limits(1, user_api="blas"):
            seen.extend(e["num_threads"] for e in threadpool_info() if e["user_api"] == "blas")

    with threadpool_limits(2, user_api="blas"):
        measure_interruptibly(Measurement(), SelfComm(), work)
        after = [e["num_threads"] for e in threadpool_info() if e["user_api"] == "blas"]
    assert set(seen) == {1}
    assert set(after) == {2}
