"""How a sweep shares its time: little for small sizes, enough repeats for the largest, on rates and checks as an H200 had them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flopbench import gemm_plan
from flopbench.gemm_measure import LEAST_ON_GPU_S, LEAST_REPEATS, Rule
from flopbench.gemm_plan import Shape
from flopbench.gemm_run import GemmRequest, Skipped
from flopbench.results import Verification

sys.path.insert(0, str(Path(__file__).parent))
from fakes import FakeClock, fake_kernel, job

SIZES = gemm_plan.SIZES
#: Rates in FLOP/s at 256 to 16384 as measured on an H200 (16384 of FP64, FP32 and FP8: that of 8192).
H200 = {
    "fp64": (567.8e9, 4.884e12, 23.04e12, 44.82e12, 58.69e12, 60.88e12, 60.88e12),
    "fp32": (499.6e9, 4.555e12, 20.15e12, 43.86e12, 49.93e12, 50.89e12, 50.89e12),
    "tf32": (779.7e9, 4.086e12, 25.89e12, 169.7e12, 341.2e12, 392.6e12, 351.6e12),
    "bf16": (839.0e9, 5.695e12, 48.68e12, 237.7e12, 560.8e12, 715.6e12, 702.7e12),
    "fp16": (769.3e9, 5.273e12, 48.25e12, 193.2e12, 483.1e12, 670.1e12, 687.2e12),
    "fp16_acc16": (722.1e9, 6.423e12, 36.34e12, 225.5e12, 466.9e12, 710.0e12, 758.3e12),
    "fp8": (905.7e9, 3.573e12, 27.99e12, 306.9e12, 731.4e12, 1.300e15, 1.300e15),
    "int8": (898.1e9, 5.831e12, 51.20e12, 242.0e12, 954.8e12, 1.347e15, 1.231e15),
}
FULL_CHECK_S = dict(zip(SIZES, (0.06, 0.1, 0.13, 0.28, 0.35, 0.62, 1.35), strict=True))
SET_UP_S = dict(zip(SIZES, (0.05, 0.04, 0.04, 0.03, 0.03, 0.09, 0.12), strict=True))
LATER_CHECK_S = 0.001


@pytest.fixture
def sweep(monkeypatch):
    """The sweep of all kernels in `time_s`; gives n -> number of repeats and timed seconds, per kernel, and the clock at the end."""

    def run(time_s):
        clock = FakeClock()

        def judge(kernel, problem, watches, turn, repeat, known, threads):
            clock.t += LATER_CHECK_S if turn in watches else FULL_CHECK_S[problem.n]
            watches[turn] = None
            return Verification(verdict="PASSED", reason="", check="a test's", value=0.0, threshold=1.0, ingredients={})

        monkeypatch.setattr("flopbench.gemm_measure._judge", judge)
        noise = [1.0 + 0.1 * (place % 4) for place in range(4)]  # scattered: the median is never known to 2 %

        def kernel(name, rates):
            calls = iter(range(10**9))
            return fake_kernel(
                clock,
                rate=lambda n: dict(zip(SIZES, rates, strict=True))[n] / noise[next(calls) % 4],
                backend=name,
                real=False,
                device="cuda",
                aside=SET_UP_S.__getitem__,
            )

        found = list(job(clock, GemmRequest(time_s=time_s)).run([kernel(*pair) for pair in H200.items()]))
        assert not [what for what in found if isinstance(what, Skipped)]
        seen = {name: {} for name in H200}
        for record in found:
            seen[record.backend][record.problem.n] = (len(record.times_s), sum(record.times_s))
        return seen, clock.t

    return run


def test_in_the_default_time_every_kernel_of_an_h200_gets_to_16384_and_repeats_it(sweep):
    seen, took = sweep(gemm_plan.DEFAULT_SECONDS)
    assert all(sizes[16384][0] >= LEAST_REPEATS for sizes in seen.values())
    assert all(sizes[16384][1] >= LEAST_ON_GPU_S - 0.2 for sizes in seen.values())  # long enough for a power
    assert took <= gemm_plan.DEFAULT_SECONDS


def test_in_less_than_half_of_it_they_still_do(sweep):
    seen, took = sweep(40.0)
    assert {name: sizes.get(16384, (0,))[0] >= LEAST_REPEATS for name, sizes in seen.items()} == dict.fromkeys(
        H200, True
    )
    assert took <= 42.0


def test_each_size_may_use_a_third_of_what_the_next_may_and_the_last_what_is_left():
    shapes = gemm_plan.shapes((256, 512, 1024), None, None)
    first = gemm_plan.budget_s(shapes, 1e12, 65.0)
    assert first == pytest.approx(5.0)
    second = gemm_plan.budget_s(shapes[1:], 1e12, 60.0)
    assert second == pytest.approx(15.0)
    assert gemm_plan.budget_s(shapes[2:], 1e12, 40.0) == pytest.approx(36.0)


def test_a_size_leaves_to_the_next_what_it_needs_and_still_has_its_own_runs():
    shapes = gemm_plan.shapes((1024, 2048), None, None)
    rate = 6 * shapes[0].flops  # 1 s and 8 s with their repeats
    before = Shape(512, 512, 512)
    assert gemm_plan.budget_s(shapes, rate, 20.0) == pytest.approx(5.0)
    assert gemm_plan.budget_s(shapes, rate, 20.0, before, 9.0 / 2.3**2) == pytest.approx(3.0)
    assert gemm_plan.budget_s(shapes, rate, 8.0) == pytest.approx(1.0)


def test_sizes_out_of_reach_take_nothing_from_those_within():
    shapes = gemm_plan.shapes((), None, None)
    rate = 6 * Shape(512, 512, 512).flops  # 512 takes 1 s with its repeats, 1024 takes 8 s
    assert gemm_plan.budget_s(shapes, rate, 4.0) == pytest.approx(1.0)


def test_a_size_needs_its_runs_and_2_3_times_the_checks_of_half_the_size():
    half, whole = Shape(512, 512, 512), Shape(1024, 1024, 1024)
    assert gemm_plan.needed_s(whole, whole.flops) == pytest.approx(6.0)
    assert gemm_plan.needed_s(whole, whole.flops, half, 2.0) == pytest.approx(6.0 + 4.6)


def test_slow_checks_leave_five_repeats_that_fit_by_themselves():
    rule = Rule(budget_s=1.0)
    assert not rule.enough([0.1] * 4, elapsed_s=30.0)
    assert rule.enough([0.1] * 5, elapsed_s=30.0)
    assert rule.enough([0.6], elapsed_s=0.6)


def test_hundreds_of_short_repeats_on_a_gpu_are_no_noise_while_their_median_is_known():
    def warnings(seconds, device):
        clock = FakeClock()
        kernel = fake_kernel(clock, seconds=seconds, device=device)
        (record,) = job(clock, GemmRequest(n=(64,), time_s=60.0, repeat=100)).run([kernel])
        return [text for text in record.environment.warnings if "noisy" in text]

    one_in_ten_late = lambda run: 5e-4 if run % 10 == 0 else 1e-4  # noqa: E731
    two_clocks = lambda run: 1.2e-4 if run % 2 else 1e-4  # noqa: E731
    assert warnings(one_in_ten_late, "cuda") == []
    assert warnings(one_in_ten_late, "cpu") == ["noisy: the repeats are 400% apart; close other programs and repeat"]
    (text,) = warnings(two_clocks, "cuda")
    assert text.startswith("noisy: the median on the GPU is known to 18% only")


def test_a_few_repeats_on_a_gpu_are_judged_by_how_far_apart_they_are():
    clock = FakeClock()
    kernel = fake_kernel(clock, seconds=lambda run: 1.0 + run % 2, device="cuda")
    (record,) = job(clock, GemmRequest(n=(64,), time_s=600.0, repeat=5)).run([kernel])
    assert any("noisy: the repeats are" in text for text in record.environment.warnings)
