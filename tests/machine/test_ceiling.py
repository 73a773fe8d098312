"""The measured ceiling: which loops are chosen, what is timed, what is refused; with fake loops and a fake clock."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flopbench import ceiling
from flopbench.errors import BadInput, NotPossible, UnknownName
from flopbench.kernel_api import CeilingLoop
from flopbench.results import Ceiling


class FakeClock:
    """Each thread has its own time, as if it had a core of its own; all begin together."""

    def __init__(self):
        self.times = threading.local()

    def __call__(self):
        return getattr(self.times, "now", 0.0)

    def advance(self, seconds):
        self.times.now = self() + seconds


class FakeLoop(CeilingLoop):
    """Takes `seconds` an iteration on the calling thread's clock."""

    operations = 10
    method = "fake"

    def __init__(
        self, clock, name="wide", precision="fp64", seconds=1e-6, missing=None, stand_in="", broken=None, values=None
    ):
        self.clock, self.name, self.precision, self.seconds = clock, name, precision, seconds
        self.missing, self.stand_in, self.broken, self.values = missing, stand_in, broken, values
        self.runs = 0

    def why_not(self, machine):
        return self.missing

    def prepare(self):
        if self.broken:
            raise NotPossible(self.broken)

    def run(self, iterations):
        self.runs += 1
        self.clock.advance(iterations * self.seconds)
        return self.values.pop() if self.values else 1.0


@pytest.fixture
def clock():
    return FakeClock()


def test_the_rate_is_the_operations_of_all_threads_over_the_time(clock):
    got = ceiling.measure("fp64", 4, None, clock, [FakeLoop(clock)])
    assert isinstance(got, Ceiling)
    assert got.flops == pytest.approx(4 * 10 / 1e-6)
    assert "4 threads" in got.method and "fake" in got.method


def test_the_better_of_the_two_widest_loops_counts(clock):
    loops = [FakeLoop(clock, "wide", seconds=2e-6), FakeLoop(clock, "half"), FakeLoop(clock, "narrow", seconds=1e-9)]
    assert ceiling.measure("fp64", 1, None, clock, loops).flops == pytest.approx(10 / 1e-6)
    assert loops[2].runs == 0


def test_loops_of_other_precisions_are_left_alone(clock):
    other = FakeLoop(clock, precision="fp32", seconds=1e-9)
    assert ceiling.measure("fp64", 1, None, clock, [other, FakeLoop(clock)]).flops == pytest.approx(1e7)
    assert other.runs == 0


def test_a_stand_in_is_used_only_if_none_of_the_own_loops_can_run_and_says_so(clock):
    stand_in = FakeLoop(clock, "fp32 units", "bf16", stand_in="no BF16 here; FP32 units")
    own = FakeLoop(clock, "own", "bf16", seconds=4e-6)
    assert ceiling.measure("bf16", 1, None, clock, [stand_in, own]).flops == pytest.approx(10 / 4e-6)
    own.missing = "own: the processor has no bf16"
    got = ceiling.measure("bf16", 1, None, clock, [stand_in, own])
    assert got.flops == pytest.approx(1e7)
    assert "no BF16 here" in got.method


def test_without_a_loop_every_reason_is_told(clock):
    loops = [FakeLoop(clock, missing="a: no avx512f"), FakeLoop(clock, missing="b: no sve")]
    assert ceiling.measure("fp64", 1, None, clock, loops) == "a: no avx512f; b: no sve"
    assert "tf32" in ceiling.measure("tf32", 1, None, clock, loops)


def test_a_loop_that_cannot_be_compiled_is_passed_over_with_its_reason(clock):
    broken = FakeLoop(clock, broken="LLVM cannot compile")
    assert ceiling.measure("fp64", 1, None, clock, [broken]) == "LLVM cannot compile"
    assert ceiling.measure("fp64", 1, None, clock, [broken, FakeLoop(clock)]).flops == pytest.approx(1e7)


def test_threads_that_disagree_give_no_ceiling(clock):
    loop = FakeLoop(clock, values=[1.0, 2.0] * 20)
    assert "hardware" in ceiling.measure("fp64", 2, None, clock, [loop])
    assert "hardware" in ceiling.measure("fp64", 1, None, clock, [FakeLoop(clock, values=[float("nan")] * 20)])


def test_a_slow_thread_lowers_the_rate_of_all(clock):
    """The time is from the first start to the last stop, whatever the other threads do."""

    class Uneven(FakeLoop):
        def run(self, iterations):
            slow = threading.current_thread().name.endswith("_1")
            self.clock.advance(iterations * self.seconds * (3 if slow else 1))
            return 1.0

    with ThreadPoolExecutor(2) as pool:
        seconds, values = ceiling._together(pool, Uneven(clock), 1000, 2, clock)
    assert (seconds, values) == (pytest.approx(3e-3), [1.0, 1.0])


@pytest.mark.parametrize("threads", [0, -1])
def test_bad_input_is_refused(clock, threads):
    with pytest.raises(BadInput, match="at least 1"):
        ceiling.measure("fp64", threads, None, clock, [])
    with pytest.raises(UnknownName, match="fp64"):
        ceiling.measure("fp65", 1, None, clock, [])


def test_a_package_with_broken_loops_is_named(monkeypatch):
    class Point:
        name, dist = "theirs", None

        def load(self):
            raise ImportError("no module named x")

    monkeypatch.setattr(ceiling, "entry_points", lambda group: [Point()])
    with pytest.raises(BadInput, match=r"'theirs'.*no module named x"):
        ceiling.installed_loops()


def test_this_machine_has_a_ceiling_in_fp64():
    from flopbench.machine.detect import detect

    got = ceiling.measure("fp64", 1, detect())
    assert isinstance(got, Ceiling) and got.flops > 1e8
