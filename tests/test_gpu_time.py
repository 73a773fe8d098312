"""What a run on GPUs will take: the sizes of its short runs, the prediction from them, and N, over kernels that take a told time."""

import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopbench import plan
from flopbench.comm import SelfComm
from flopbench.gpu_time import FEWEST, LONGEST_S, GpuTimeModel, Growth
from flopbench.hpl_run import HplRequest, HplRun
from flopbench.kernel_api import Kernel, Settings
from flopbench.machine.model import Gpu
from flopbench.progress import Progress
from flopbench.record import Context
from flopbench.report.summary import phases, summary
from flopbench.results import Phase

sys.path.insert(0, str(Path(__file__).parent / "report"))
from record_fixtures import MACHINE, lu_record

H200 = 66.9e12  # FLOP/s
FULL_H200 = 131072
NB = 1024


def polynomial(update_flops, per_column, per_element):
    """Seconds by N, where nothing overlaps."""
    return lambda n: 2 / 3 * n**3 / update_flops + per_element * n**2 + per_column * n


def overlapping(update_flops, per_column, per_element):
    """Seconds by N, where each step takes the longer of panel and update: perfect look-ahead."""

    def seconds(n):
        rows = np.arange(n, 0, -NB, dtype=float)
        width = np.minimum(rows, NB)
        return float(np.maximum(width * (per_column + per_element * rows), 2 * rows**2 * width / update_flops).sum())

    return seconds


def short_runs(truth, largest=FULL_H200, time_s=45.0, peak=H200):
    """What the short runs of such a GPU take, by size, and why there were no more."""
    growth, seconds = Growth(largest, "the memory was full", time_s, peak), {}
    n, why = growth.next(seconds)
    while n is not None:
        seconds[n] = truth(n)
        n, why = growth.next(seconds)
    return growth, seconds, why


def predicted(truth, n, peak=H200, **growth):
    return GpuTimeModel.fit(short_runs(truth, peak=peak, **growth)[1], peak).seconds(n)


TUNED = polynomial(55e12, 27e-6, 1e-10)

#: Seconds by N of an H200 before its panel was tuned, through the two measured points of each place of the panel.
MEASURED = {
    "panel on the device": ({16384: 1.987, 40960: 7.236}, polynomial(55e12, 93.4e-6, 1.51e-9)),
    "panel on the host": ({16384: 3.120, 40960: 19.515}, lambda n: 1.163e-8 * n**2),
}


@pytest.mark.parametrize("place", MEASURED)
def test_runs_that_an_h200_took_are_predicted_from_short_ones(place):
    facts, curve = MEASURED[place]
    for n, seconds in facts.items():
        assert curve(n) == pytest.approx(seconds, rel=0.01), "the curve goes through what was measured"
        assert predicted(curve, n) == pytest.approx(seconds, rel=0.05)


NOISE = st.lists(st.floats(-0.01, 0.01), min_size=8, max_size=8)


def noisy(seconds, noise):
    return {n: t * (1 + error) for (n, t), error in zip(seconds.items(), noise, strict=False)}


@given(
    update=st.floats(0.3e12, 58e12),
    share=st.floats(0.65, 0.97),
    per_column=st.floats(15e-6, 120e-6),
    per_element=st.floats(0.0, 1.5e-9),
    noise=NOISE,
)
def test_short_runs_with_noise_predict_four_times_their_size(update, share, per_column, per_element, noise):
    truth = polynomial(update, per_column, per_element)
    seconds = noisy(short_runs(truth, peak=update / share)[1], noise)
    n = min(FULL_H200, 4 * max(seconds))
    assert GpuTimeModel.fit(seconds, update / share).seconds(n) == pytest.approx(truth(n), rel=0.15)


@given(
    update=st.floats(50e12, 62e12),
    per_column=st.floats(15e-6, 60e-6),
    per_element=st.floats(0.0, 5e-10),
    noise=NOISE,
)
def test_short_runs_with_noise_predict_the_run_that_fills_an_h200(update, per_column, per_element, noise):
    truth = polynomial(update, per_column, per_element)
    seconds = noisy(short_runs(truth)[1], noise)
    assert GpuTimeModel.fit(seconds, H200).seconds(FULL_H200) == pytest.approx(truth(FULL_H200), rel=0.15)


def test_an_update_that_hides_behind_the_panel_is_counted_by_what_rpeak_allows():
    """N = 32768 shows next to nothing of it, and at N = 131072 it is three quarters of the time."""
    truth = overlapping(55e12, 27e-6, 1e-10)
    assert max(short_runs(truth)[1]) == 32768
    assert predicted(truth, FULL_H200) == pytest.approx(truth(FULL_H200), rel=0.15)
    assert predicted(truth, FULL_H200, peak=None) < 0.5 * truth(FULL_H200), "what Rpeak is asked for"


@given(
    times=st.lists(st.floats(1e-4, 10.0), min_size=1, max_size=6),
    peak=st.one_of(st.none(), st.floats(1e11, 1e14)),
)
def test_whatever_the_short_runs_took_time_grows_with_n_and_none_beats_rpeak(times, peak):
    model = GpuTimeModel.fit({2048 << i: t for i, t in enumerate(times)}, peak)
    assert min(model.a, model.b, model.c) >= 0 and model.seconds(10_000) > 0
    if peak:
        assert model.seconds(100_000) >= 2 / 3 * 1e15 / peak * (1 - 1e-12)
    n = model.largest_n(45.0)
    assert n == 1 or model.seconds(n) <= 45.0
    assert model.seconds(n + 1) > 45.0 or n + 1 >= plan.N_LIMIT


@pytest.mark.parametrize(
    ("truth", "largest", "sizes", "why"),
    [
        (TUNED, FULL_H200, [2048, 4096, 8192, 16384, 32768], "one took 1.4 s"),
        (polynomial(1.3e12, 27e-6, 1e-10), 50_000, [2048, 4096, 8192], "the next would take 2.7 s"),
        (polynomial(0.1e12, 27e-6, 1e-10), 20_000, [2048, 4096], "the next would take 3.9 s"),
        (TUNED, 10_000, [2048, 4096, 8192, 10_000], "the memory was full"),
        (TUNED, 60, [60], "the memory was full"),
    ],
    ids=["H200", "GeForce", "small GeForce", "little memory", "tiny N"],
)
def test_sizes_double_until_a_run_tells_enough_or_costs_too_much(truth, largest, sizes, why):
    _, seconds, reason = short_runs(truth, largest, peak=None)
    assert (list(seconds), reason) == (sizes, why)


def test_little_time_is_no_reason_for_fewer_sizes_than_there_are_terms():
    assert list(short_runs(TUNED, time_s=0.1)[1]) == [2048, 4096, 8192]


def test_two_sizes_are_read_as_update_and_columns():
    """Else the squares would take up what a wrong guess of the update's rate leaves over."""
    truth = polynomial(0.1e12, 20e-6, 0.0)
    found = GpuTimeModel.fit({n: truth(n) for n in (2048, 4096)}, 0.1e12 / 0.6)
    assert found.seconds(20_000) == pytest.approx(truth(20_000), rel=0.02)


@given(
    update=st.floats(0.05e12, 200e12),
    per_column=st.floats(1e-6, 1e-3),
    per_element=st.floats(0.0, 2e-8),
    time_s=st.floats(0.1, 1e4),
)
def test_short_runs_stay_short_on_every_gpu(update, per_column, per_element, time_s):
    truth = polynomial(update, per_column, per_element)
    _, seconds, _ = short_runs(truth, time_s=time_s, peak=update)
    assert sum(t for n, t in seconds.items() if n > 2048) <= 4 * LONGEST_S
    assert len(seconds) <= FEWEST or sorted(seconds.values())[-2] < 0.05 * time_s


@dataclass
class Clock:
    """Seconds that pass only when a kernel runs."""

    t: float = 0.0

    def __call__(self):
        return self.t


def planned(truth, memory_bytes, device="cuda", gpus=1, **asked):
    """The request under way after its plan was made, and the plan's N, on a device that takes `truth(N)` seconds."""
    clock = Clock()

    class Fake(Kernel):
        name, routine, precision, backend, summary = "lu_fp64_fake", "lu", "fp64", "fake", "for this test"

        def why_not(self, machine):
            return None

        def memory_bytes(self, problem):
            return 8 * problem.n**2

        def setup(self, problem, comm, machine):
            self.n = problem.n
            clock.t += 100.0

        def reset(self):
            clock.t += 100.0

        def run(self):
            clock.t += truth(self.n)

        def outcome(self):
            raise AssertionError("planning checks nothing")

        def close(self):
            clock.t += 100.0

    Fake.device = device
    machine = msgspec.structs.replace(MACHINE, gpus=[Gpu(index=i, name="NVIDIA H200") for i in range(gpus)])
    context = Context(SelfComm(), machine, 16, None, None)
    request = HplRequest(settings=Settings(extra={"panel": "device"}), **asked)
    run = HplRun(
        request, Fake(request.settings), context, Progress(quiet=True), plan.Room(memory_bytes, "free on GPU"), [], clock
    )  # fmt: skip
    (case,) = run.cases()
    return run, case


def line(run, choice):
    return next(line for line in run.lines if line.choice == choice)


def test_the_default_run_on_an_h200_fills_its_memory_once():
    run, case = planned(TUNED, 150 << 30)
    room = plan.Room(150 << 30, "")
    assert case.n == plan.round_to_blocks(room.largest_n(0.8), NB) == 124928
    assert case.n_reason.startswith("80.0 % of 150.00 GiB (free on GPU); time would allow 14")
    assert run._repeats(run._expected(case)).value == "1"
    assert run.hint is None, "there is nothing larger to recommend"
    warm_up = line(run, "warm-up")
    assert warm_up.value == "N = 2048, 4096, 8192, 16384, 32768"
    assert warm_up.reason == (
        "2 times each, not counted, N doubled until one took 1.4 s; the time of the run is predicted from the best"
    )


@pytest.mark.parametrize("gpus", [1, 8])
def test_the_plan_knows_rpeak_of_the_gpus_that_run_and_not_of_those_that_idle(gpus):
    truth = overlapping(55e12, 27e-6, 1e-10)
    run, _ = planned(truth, 150 << 30, gpus=gpus)
    assert run.model.seconds(FULL_H200) == pytest.approx(truth(FULL_H200), rel=0.15)


def test_where_time_is_short_n_comes_before_repeats_and_the_hint_says_how_to_run_on_the_gpu():
    run, case = planned(TUNED, 150 << 30, time_s=10.0)
    assert 9.0 < TUNED(case.n) <= 10.0
    assert case.n_reason.endswith("expected from a short calibration, for --time 10")
    assert run.hint == (
        f"flopbench hpl --device cuda --option panel=device --memory 0.8 runs N = 124928 "
        f"in about {run.model.seconds(124928):.1f} s; Rmax grows with N"
    )
    assert run.model.seconds(124928) == pytest.approx(TUNED(124928), rel=0.02)


def test_a_matrix_that_fills_the_memory_is_repeated_as_often_as_time_allows():
    for time_s, repeats in ((45.0, "1"), (2.2 * TUNED(124928), "2"), (600.0, "3")):
        run, case = planned(TUNED, 150 << 30, time_s=time_s)
        assert (case.n, run._repeats(run._expected(case)).value) == (124928, repeats)


def test_an_asked_number_of_repeats_shares_the_time():
    _, case = planned(TUNED, 150 << 30, repeat=3)
    assert 14.0 < TUNED(case.n) <= 15.0


def test_an_n_that_was_asked_for_bounds_the_short_runs_and_then_no_time_is_promised_for_more():
    run, _ = planned(TUNED, 150 << 30, n=(6000,))
    assert line(run, "warm-up").value == "N = 2048, 4096, 6000"
    assert "until it was as asked" in line(run, "warm-up").reason
    assert "runs N = 124928; Rmax grows" in run.hint
    longer, _ = planned(TUNED, 150 << 30, n=(40960,))
    assert "in about" in longer.hint


def test_the_processor_keeps_its_short_runs():
    run, _ = planned(polynomial(80e9, 0.0, 0.0), 16 << 30, device="cpu")
    assert line(run, "warm-up").value == "N = 500, 1000, 2500"
    assert run.hint.startswith("flopbench hpl --option")


def gpu_record(**kernel):
    record = lu_record(
        n=16384, device="cuda", kernel="lu_fp64_cupy",
        phases=[Phase(name="panel", max_s=1.0, mean_s=1.0, slowest_rank=0, slowest_host="vm")],
    )  # fmt: skip
    record.environment.kernel = kernel
    return record


@pytest.mark.parametrize("key", ["blas", "call"])
def test_the_summary_names_the_library_that_computed_on_the_gpu_first(key):
    (shown,) = [row for row in summary(gpu_record(**{key: "cuBLAS gemmEx"}), None) if row.startswith("  BLAS")]
    assert shown.startswith("  BLAS        cuBLAS gemmEx; on the host: openblas 0.3.30 (Haswell")
    (unchanged,) = [row for row in summary(lu_record(), None) if row.startswith("  BLAS")]
    assert unchanged.startswith("  BLAS        openblas 0.3.30")


def test_phases_of_a_gpu_say_whose_seconds_they_are():
    shown = phases(gpu_record())
    assert "host's seconds" in shown[-2] and all(len(row) <= 80 for row in shown)
    on_host = phases(lu_record(phases=gpu_record().phases))
    assert len(on_host) == 2
