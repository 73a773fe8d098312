"""GEMM runs: warmed up, repeated until the median is known, every repeat checked, every record written as soon as it exists."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopbench import gemm_plan, results, run_gemm, timing
from flopbench.cli import run as command_line
from flopbench.errors import BadInput, NotPossible, RunFailed, UnknownName
from flopbench.gemm_measure import LEAST_MEASURED_S, MOST_REPEATS, Rule
from flopbench.gemm_plan import Shape
from flopbench.gemm_run import GemmRequest, Skipped
from flopbench.machine.model import Cache
from flopbench.verify.repeats import Watch

sys.path.insert(0, str(Path(__file__).parent))
from fakes import MACHINE, FakeClock, fake_kernel, job


def _records(found):
    return [f for f in found if not isinstance(f, Skipped)]


@pytest.mark.parametrize(
    ("n", "ranks"), [(6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (10, (2, 9)), (20, (6, 15)), (100, (40, 61))]
)
def test_the_interval_of_the_median_is_that_of_the_tables_of_order_statistics(n, ranks):
    values = [float(i) for i in range(1, n + 1)]
    random.Random(n).shuffle(values)
    assert timing.median_interval(values) == tuple(map(float, ranks))


def test_five_repeats_cannot_bound_the_median_to_95_percent():
    assert timing.median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None


@given(st.lists(st.floats(0.001, 10), min_size=6, max_size=60))
def test_the_interval_holds_the_median_and_widens_with_confidence(times):
    low, high = timing.median_interval(times)
    assert low <= timing.spread(times).median_s <= high
    wider = timing.median_interval(times, 0.99)
    assert wider is None or (wider[0] <= low and high <= wider[1])


def test_steady_times_end_after_six_repeats_and_scattered_ones_go_on_to_the_budget():
    rule = Rule(budget_s=100.0)
    assert not rule.enough([1.0] * 5)
    assert rule.enough([1.0] * 6)
    scattered = [1.0, 1.5, 1.2, 1.4, 1.1, 1.3] * 5
    assert not rule.enough(scattered)
    assert rule.enough(scattered * 3)


def test_short_runs_are_repeated_until_they_add_up_and_never_without_end():
    rule = Rule(budget_s=1e9)
    assert not rule.enough([1e-4] * 100)
    assert rule.enough([1e-4] * MOST_REPEATS)
    assert rule.enough([LEAST_MEASURED_S / 50] * 51)


def test_the_time_that_checking_takes_counts_towards_the_budget():
    scattered = [1.0e-3, 1.5e-3, 1.2e-3, 1.4e-3, 1.1e-3, 1.3e-3]
    assert not Rule(budget_s=2.0).enough(scattered, elapsed_s=1.9)
    assert Rule(budget_s=2.0).enough(scattered, elapsed_s=2.0)
    assert not Rule(budget_s=2.0, repeats=7).enough(scattered, elapsed_s=9.0)


def test_slow_checks_of_a_small_size_do_not_eat_the_time_of_the_larger_ones(monkeypatch):
    clock = FakeClock()
    scattered = lambda run: 1e-3 * (1 + run % 3 / 10)  # noqa: E731  never known to 2 %
    kernel = fake_kernel(clock, seconds=scattered, nbytes=lambda problem: problem.n)
    differing = Watch.differing_columns

    def slow(self, outcome):
        clock.t += 0.01
        return differing(self, outcome)

    monkeypatch.setattr(Watch, "differing_columns", slow)
    found = _records(job(clock, GemmRequest(time_s=6.0), room=512).run([kernel]))
    assert [record.problem.n for record in found] == [256, 512]
    assert clock.t < 6.5


def test_one_repeat_is_made_whatever_the_budget():
    assert not Rule(budget_s=0.0).enough([])
    assert Rule(budget_s=0.0).enough([5.0])


def test_an_asked_number_of_repeats_is_kept_exactly():
    rule = Rule(budget_s=0.001, repeats=4)
    assert [rule.enough([1.0] * count) for count in range(6)] == [False, False, False, False, True, True]


def test_warm_up_ends_when_three_runs_agree_or_a_quarter_of_the_time_is_used():
    rule = Rule(budget_s=100.0)
    assert not rule.warm([3.0, 1.0])
    assert not rule.warm([3.0, 1.0, 1.0])
    assert rule.warm([3.0, 1.0, 1.01, 1.0])
    assert rule.warm([20.0])
    assert rule.warm([1.0, 2.0] * 10)
    assert Rule(budget_s=1.0, warm_up=False).warm([])


def test_a_run_gives_a_record_with_every_time_and_every_choice():
    clock = FakeClock()
    kernel = fake_kernel(clock, rate=1e9)
    found = _records(job(clock, GemmRequest(n=(512,), time_s=60.0)).run([kernel]))
    assert len(found) == 1
    record = found[0]
    assert record.times_s == pytest.approx([2 * 512**3 / 1e9] * 6)
    assert record.rmax_flops == pytest.approx(1e9)
    assert record.efficiency.of_ceiling == pytest.approx(0.5)
    assert record.rpeak_reason == "a test has no Rpeak"
    assert record.spread.median_low_s == pytest.approx(record.spread.median_high_s)
    assert record.environment.kernel == {"isa": "fake"}
    assert record.problem == results.Problem(n=512, m=512, k=512, seed=100)
    assert [line.choice for line in record.plan] == ["size", "buffers", "warm-up", "repeats"]
    assert "under 2 %" in record.plan[-1].reason
    results.to_document(record)


def test_c_is_poisoned_before_every_run_and_warm_up_is_not_counted():
    clock = FakeClock()
    kernel = fake_kernel(clock, seconds=lambda run: 9.0 if run <= 4 else 1.0)  # 2 probe runs, 2 cold runs
    record = _records(job(clock, GemmRequest(n=(64,), time_s=200.0)).run([kernel]))[0]
    assert max(record.times_s) == 1.0
    unwritten = fake_kernel(
        clock, spoil=lambda c, run: c.__setitem__((slice(0, 8), slice(0, 8)), np.nan) if run > 8 else None
    )
    record = _records(job(clock, GemmRequest(n=(64,), time_s=200.0)).run([unwritten]))[0]
    assert record.verification.verdict == "FAILED"


@pytest.mark.parametrize("first_bad", [6, 9])
@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c.__setitem__((3, 5), c[3, 5] + 1),
        lambda c: c.__setitem__([1, 2], c[[2, 1]]),
        lambda c: c.__setitem__((4, 4), np.nan),
        lambda c: c.__setitem__((slice(0, 16), slice(0, 16)), 0),
    ],
    ids=["one element", "swapped rows", "a NaN", "a tile"],
)
def test_a_wrong_product_in_any_repeat_fails_the_run_and_leaves_no_rate(damage, first_bad):
    clock = FakeClock()
    kernel = fake_kernel(clock, spoil=lambda c, run: damage(c) if run >= first_bad else None)
    records = _records(job(clock, GemmRequest(n=(64, 128), time_s=60.0)).run([kernel]))
    assert len(records) == 1  # the sweep of a wrong kernel ends
    assert records[0].verification.verdict == "FAILED"
    assert records[0].rmax_flops is None
    assert records[0].efficiency == results.Efficiency(of_rpeak=None, of_ceiling=None)


def test_a_sweep_ends_at_the_plateau():
    clock = FakeClock()
    records = _records(job(clock, GemmRequest(time_s=1e9)).run([fake_kernel(clock)]))
    assert [record.problem.n for record in records] == [256, 512, 1024]


def test_a_sweep_ends_when_the_next_size_would_take_more_than_the_time_that_is_left():
    clock = FakeClock()
    slow = fake_kernel(clock, rate=2 * 512**3 / 3.0)  # 512: 3 s, 1024: 24 s
    records = _records(job(clock, GemmRequest(time_s=60.0)).run([slow]))
    assert [record.problem.n for record in records] == [256, 512]
    assert clock.t < 80.0


def test_sizes_that_were_asked_for_are_measured_whatever_they_take():
    clock = FakeClock()
    slow = fake_kernel(clock, rate=1e6)
    records = _records(job(clock, GemmRequest(n=(256,), time_s=1.0)).run([slow]))
    assert len(records[0].times_s) == 1
    choices = {line.choice: line for line in records[0].plan}
    assert choices["warm-up"].value == "0 runs"
    assert "raise --time" in choices["warm-up"].reason


def test_each_kernel_gets_a_share_of_the_time_and_what_one_saves_the_next_may_use():
    clock = FakeClock()
    request = GemmRequest(n=(256,), time_s=60.0)
    noisy = [fake_kernel(clock, seconds=lambda run: 0.1 + 0.05 * (run % 5), backend=f"b{i}") for i in range(3)]
    records = _records(job(clock, request).run(noisy))
    assert len(records) == 3
    assert clock.t < 66.0
    assert all(sum(record.times_s) < 25.0 for record in records)


def test_rotation_uses_several_sets_of_operands_in_turn_and_checks_each():
    clock = FakeClock()
    machine = msgspec.structs.replace(
        MACHINE, cpu=msgspec.structs.replace(MACHINE.cpu, caches=[Cache(level=3, kind="unified", bytes=1 << 20)])
    )
    kernel = fake_kernel(clock)
    request = GemmRequest(n=(256,), time_s=60.0, rotate=True, repeat=6)
    record = _records(job(clock, request, machine=machine).run([kernel]))[0]
    copies = int({line.choice: line for line in record.plan}["buffers"].value)
    assert copies == 2 * (1 << 20) // (3 * 4 * 256 * 256) + 1 == 3
    timed = [event for event in kernel.log.events if event.startswith("run 256")][-6:]
    assert timed == [f"run 256 {100 + turn}" for turn in (0, 1, 2, 0, 1, 2)]
    assert kernel.log.events.count("close") == 1 + copies
    spoilt = fake_kernel(clock, spoil=lambda c, run: c.__setitem__((0, 0), c[0, 0] + 1) if run % 3 == 1 else None)
    assert _records(job(clock, request, machine=machine).run([spoilt]))[0].verification.verdict == "FAILED"


def test_operands_larger_than_twice_the_cache_need_no_rotation():
    line = gemm_plan.buffers(Shape(4096, 4096, 4096), "fp32", MACHINE, rotate=True)
    assert line.value == "1"
    assert "larger than twice" in line.reason


def test_what_cannot_run_is_a_reason_and_the_rest_goes_on():
    clock = FakeClock()
    kernels = [
        fake_kernel(clock, reason="needs avx512_fp16", backend="a"),
        fake_kernel(clock, error=NotPossible("AMX permission refused by the kernel"), backend="b"),
        fake_kernel(clock, nbytes=lambda problem: problem.n << 30, backend="c"),
        fake_kernel(clock, backend="d"),
    ]
    found = list(job(clock, GemmRequest(n=(64,), time_s=60.0), room=1 << 30).run(kernels))
    assert [f.reason for f in found[:2]] == ["needs avx512_fp16", "AMX permission refused by the kernel"]
    assert found[2].reason == "needs 64.00 GiB, but 1.00 GiB are available (in this test)"
    assert found[2].n == "64"
    assert found[3].backend == "d"


class _Printer:
    quiet = True

    def __init__(self):
        self.seen, self.left_out, self.complaints, self.ended = [], [], [], 0

    def result(self, record, saved_to):
        self.seen.append((record, saved_to, saved_to is not None and saved_to.exists()))

    def skipped(self, what):
        self.left_out.append(what)

    def complain(self, line):
        self.complaints.append(line)

    def end(self):
        self.ended += 1


def _carry_out(tmp_path, kernels, clock, missing=()):
    printer = _Printer()
    work = job(clock, GemmRequest(n=(64,), time_s=60.0, output=tmp_path))
    return run_gemm.carry_out(work, kernels, missing, printer), printer


def test_each_record_is_in_its_file_before_the_next_kernel_starts(tmp_path):
    clock = FakeClock()
    first = fake_kernel(clock, backend="a")
    there = []
    second = fake_kernel(clock, backend="b", spoil=lambda c, run: there.append(len(list(tmp_path.glob("*.json")))))
    code, printer = _carry_out(tmp_path, [first, second], clock)
    assert code == 0
    assert set(there) == {1}
    assert [exists for _, _, exists in printer.seen] == [True, True]
    assert results.read(printer.seen[0][1]).kernel == "gemm_fp32_a"


def test_exit_codes_0_passed_1_failed_4_nothing_could_run(tmp_path):
    clock = FakeClock()
    good, bad = fake_kernel(clock, backend="a"), fake_kernel(clock, backend="b", spoil=lambda c, run: c.fill(0))
    absent = fake_kernel(clock, backend="c", reason="needs avx512_fp16")
    assert _carry_out(tmp_path, [good], clock)[0] == 0
    assert _carry_out(tmp_path, [good, absent], clock)[0] == 0
    assert _carry_out(tmp_path, [bad, good], clock)[0] == 1
    with pytest.raises(NotPossible, match="gemm_fp32_c: needs avx512_fp16") as error:
        _carry_out(tmp_path, [absent], clock)
    assert error.value.exit_code == 4
    with pytest.raises(NotPossible, match="tf32: no kernel"):
        _carry_out(tmp_path, [], clock, [Skipped("tf32", "-", "", "no kernel for it on cpu is installed")])


def test_a_folder_that_cannot_be_written_costs_the_file_and_not_the_result(tmp_path):
    clock = FakeClock()
    (tmp_path / "file").write_text("in the way")
    code, printer = _carry_out(tmp_path / "file", [fake_kernel(clock)], clock)
    assert code == 2
    assert printer.seen[0][0].rmax_flops
    assert "--output" in printer.complaints[0]


def test_ctrl_c_keeps_what_was_finished_and_starts_nothing_more(tmp_path, monkeypatch):
    def interrupted_by_the_user(seen, comm, work):
        with pytest.raises(KeyboardInterrupt):
            work()
        seen.interrupted = True

    def interrupt(run):
        if run == 9:
            raise KeyboardInterrupt
        return 1.0

    monkeypatch.setattr("flopbench.gemm_run.measure_interruptibly", interrupted_by_the_user)
    clock = FakeClock()
    stopped, never = fake_kernel(clock, seconds=interrupt, backend="a"), fake_kernel(clock, backend="b")
    work = job(clock, GemmRequest(n=(64,), time_s=60.0, output=tmp_path, repeat=8))
    printer = _Printer()
    assert run_gemm.carry_out(work, [stopped, never], [], printer) == 130
    assert never.log.events == []
    assert [len(record.times_s) for record, _, exists in printer.seen if exists] == [3]
    assert printer.ended == 1


def test_an_error_while_running_is_not_taken_for_an_absent_backend(tmp_path):
    clock = FakeClock()
    with pytest.raises(RunFailed):
        _carry_out(tmp_path, [fake_kernel(clock, error=RunFailed("cublas status 13"))], clock)


def test_names_that_are_not_known_get_the_near_ones():
    for request, words in [
        (GemmRequest(precision=("fp65",)), "unknown precision 'fp65'; did you mean"),
        (GemmRequest(backend=("nunpy",)), "did you mean"),
        (GemmRequest(kernel=("gemm_fp64_nunpy",)), "did you mean"),
    ]:
        with pytest.raises(UnknownName, match=words):
            run_gemm.select(request)


def test_a_precision_without_a_kernel_is_skipped_with_its_reason():
    chosen, missing = run_gemm.select(GemmRequest(precision=("fp64", "tf32"), backend=("numpy",)))
    assert [cls.name for cls in chosen] == ["gemm_fp64_numpy"]
    assert missing == [Skipped("tf32", "-", "", "no kernel for it on cpu in numpy is installed")]


def test_under_mpi_it_says_to_start_without(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    with pytest.raises(BadInput, match="one process, not on 4 MPI ranks"):
        run_gemm.run_gemm(_Printer(), GemmRequest())


def test_the_command_measures_checks_writes_and_prints_a_table(tmp_path, capsys):
    arguments = ["gemm", "--precision", "fp32,tf32", "--backend", "numpy", "--n", "32,48", "--m", "20", "--k", "40"]
    page = tmp_path / "page.html"
    assert command_line([*arguments, "--repeat", "3", "--output", str(tmp_path / "out"), "--html", str(page)]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("PASSED") == 2
    assert "20x48x40" in captured.out
    assert "tf32: SKIPPED: no kernel" in captured.out
    assert max(map(len, captured.out.splitlines())) <= 80
    assert len(list((tmp_path / "out").glob("*.json"))) == 2
    assert "20x48x40" in page.read_text(encoding="utf-8")


def test_json_is_one_document_and_nothing_else_on_stdout(tmp_path, capsys):
    arguments = ["gemm", "--precision", "int8,tf32", "--backend", "numpy", "--n", "64", "--repeat", "2", "--json"]
    assert command_line([*arguments, "--output", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert captured.err == ""
    assert document["skipped"][0]["precision"] == "tf32"
    record = results.from_document(document["results"][0])
    assert (record.unit, record.verification.verdict, len(record.times_s)) == ("OP/s", "PASSED", 2)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--n", "0"], 2, "--n is '0'; allowed"),
        (["--precision", "fp64,,"], 2, "--precision is 'fp64,,'"),
        (["--time", "-1"], 2, "--time is -1"),
        (["--precision", "tf32"], 4, "no kernel for it on cpu"),
        (["--plot", "x.bmp"], 2, "the ending must be one of"),
        (["--html", "/nowhere/x.html"], 2, "cannot write"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_measured(arguments, code, words, capsys):
    assert command_line(["gemm", *arguments]) == code
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_shapes_default_to_a_sweep_and_take_m_and_k():
    assert [str(s) for s in gemm_plan.shapes((), None, None)][:3] == ["256", "512", "1024"]
    assert [str(s) for s in gemm_plan.shapes((8, 16), None, 4)] == ["8x8x4", "16x16x4"]
    assert replace(Shape(2, 3, 4)).flops == 48.0
