"""What the check leaves behind does not slow down the run after it: spinning threads are waited for, or never woken."""

from __future__ import annotations

import sys
from pathlib import Path

from threadpoolctl import threadpool_info, threadpool_limits

from flopbench import timing
from flopbench.gemm_run import GemmRequest

sys.path.insert(0, str(Path(__file__).parent))
from fakes import FakeClock, fake_kernel, job


def _settle(cpu_share_at, patience=2.0):
    """How long settle waits if the process uses `cpu_share_at(t)` of a core at time t; a clock that only sleeping moves."""
    wall, cpu = FakeClock(), FakeClock()

    def sleep(seconds):
        cpu.t += seconds * cpu_share_at(wall.t)
        wall.t += seconds
        assert wall.t < patience, "it must give up"

    timing.settle(cpu, wall, sleep)
    return wall.t


def test_an_idle_process_is_looked_at_once():
    assert _settle(lambda t: 0.01) == timing._GLANCE_S


def test_threads_that_spin_are_waited_for_and_not_longer():
    assert 0.11 <= _settle(lambda t: 1.0 if t < 0.11 else 0.0) < 0.14


def test_a_process_that_never_rests_is_not_waited_for_without_end():
    assert 0.9 < _settle(lambda t: 1.0) < 1.1


def test_after_a_full_check_the_next_run_waits_and_later_repeats_do_not():
    clock = FakeClock()
    kernel = fake_kernel(clock)
    events = kernel.log.events
    run = job(clock, GemmRequest(n=(64,), repeat=3), settle=lambda: events.append("settle"))
    list(run.run([kernel]))
    counted = [event.split()[0] for event in events]
    case = counted[counted.index("close") + 1 :]  # what comes before is the probe
    warm = case.index("settle", case.index("settle") + 1) - 3  # runs before the first repeat
    assert case == ["setup", "settle", *["run"] * warm, "run", "settle", "run", "run", "close"]


def test_later_repeats_are_checked_on_one_thread_so_that_no_pool_is_woken():
    clock = FakeClock()
    kernel = fake_kernel(clock)
    seen = []

    class Watched(kernel):
        def outcome(self):
            seen.append({e["num_threads"] for e in threadpool_info() if e["user_api"] == "blas"})
            return super().outcome()

    with threadpool_limits(2, user_api="blas"):
        list(job(clock, GemmRequest(n=(64,), repeat=3)).run([Watched]))
        assert {e["num_threads"] for e in threadpool_info() if e["user_api"] == "blas"} == {2}
    assert seen == [{2}, {1}, {1}]
