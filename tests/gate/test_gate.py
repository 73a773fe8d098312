"""The gate's runner with fakes for legs, control and clock; its configuration; and one leg for real."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flopbench.cli.gate import command
from flopbench.errors import BadInput, NotPossible
from flopbench.gate import cpu_time, noise
from flopbench.gate.command import DEFAULT_CONFIG, GateRequest, GateResult, configure, run_gate
from flopbench.gate.config import GateConfig, Metric, Side, read_config
from flopbench.gate.control import Control
from flopbench.gate.legs import LegRun, command_line, run_legs
from flopbench.gate.pairs import BASE, HEAD, Leg
from flopbench.gate.run import Gate

sys.path.insert(0, str(Path(__file__).parent))
from gate_records import on, record

HPL = Metric(name="hpl", run=["hpl", "--n", "100"])


class FakeMachine:
    """Legs of a known rate, a clock that they move, and a control that a test can upset."""

    def __init__(self, ratio=1.0, leg_s=2.0, verdict="PASSED", controls=()):
        self.ratio, self.leg_s, self.verdict = ratio, leg_s, verdict
        self.controls = list(controls)
        self.time = 0.0
        self.legs: list[str] = []
        self.asked: list[int] = []  # threads of the control
        self.rng = random.Random(1)
        self.head_machine = record().machine

    def run_legs(self, sides, metrics, ready):
        ready()
        return [self.run_leg(name, metrics) for name, _ in sides]

    def run_leg(self, side, metrics):
        self.time += self.leg_s
        self.legs.append(side)
        rate = 50e9 * self.rng.uniform(0.99, 1.0) * (self.ratio if side == HEAD else 1.0)
        verdict = self.verdict if side == HEAD else "PASSED"
        machine = self.head_machine if side == HEAD else record().machine
        records = {m.name: record(rate, verdict=verdict, machine=machine) for m in metrics}
        failed = {} if verdict == "PASSED" else dict.fromkeys(records, "residual 1e9")
        rates = {} if failed else {name: r.rmax_flops for name, r in records.items()}
        return LegRun(Leg(side, rates, failures=failed), records)

    def rate(self, threads):
        self.asked.append(threads)
        return self.controls.pop(0) if self.controls else 60e9


def gate(machine: FakeMachine, seed=3, **changes) -> Gate:
    config = GateConfig(metric=[HPL], **changes.pop("config", {}))
    return Gate(config, machine, run_legs=machine.run_legs, now=lambda: machine.time, seed=seed, **changes)


def test_equal_sides_take_a_warm_up_and_ten_pairs_in_balanced_order():
    machine = FakeMachine()
    report = gate(machine).run()
    assert report.verdicts[0].word == "same" and report.pairs == 10
    assert machine.legs[:2] == [BASE, HEAD] and len(machine.legs) == 22
    firsts = machine.legs[2::2]
    assert firsts.count(BASE) == 5 and firsts != sorted(firsts)


def test_a_side_that_knows_no_turns_is_told_once():
    said = []
    machine = FakeMachine()
    gate(machine, say=said.append).run()
    assert sum("before turns" in line for line in said) == 1


def test_sides_that_take_turns_are_nothing_to_tell(monkeypatch):
    said = []
    machine = FakeMachine()
    run_leg = machine.run_leg

    def in_turns(side, metrics):
        run = run_leg(side, metrics)
        times = {name: tuple(found.times_s) for name, found in run.records.items()}
        return LegRun(dataclasses.replace(run.leg, in_turns=times), run.records)

    monkeypatch.setattr(machine, "run_leg", in_turns)
    assert gate(machine, say=said.append).run().verdicts[0].word == "same"
    assert not any("before turns" in line for line in said)


def test_the_seed_gives_the_same_order_again():
    runs = [FakeMachine() for _ in range(3)]
    for machine, seed in zip(runs, (1, 1, 2), strict=True):
        gate(machine, seed=seed).run()
    assert runs[0].legs == runs[1].legs != runs[2].legs


def test_a_slower_head_is_found_and_confirmed():
    report = gate(FakeMachine(ratio=0.8)).run()
    assert report.verdicts[0].exit_code == 1 and report.pairs == 20


def test_the_time_budget_is_kept_and_what_is_missing_is_inconclusive():
    machine = FakeMachine(leg_s=10)
    report = gate(machine, config={"budget_s": 110.0}).run()
    assert report.out_of_time and machine.time <= 110
    assert report.verdicts[0].exit_code == 3


def test_a_wrong_result_ends_the_gate_at_once_with_exit_1():
    machine = FakeMachine(verdict="FAILED")
    report = gate(machine).run()
    assert report.verdicts[0].exit_code == 1
    assert "head: verification FAILED" in report.verdicts[0].failures[0]
    assert len(machine.legs) == 4  # the warm-up and one pair


def test_sides_that_cannot_be_compared_are_refused_after_the_warm_up():
    machine = FakeMachine()
    machine.head_machine = on("Other CPU")
    with pytest.raises(BadInput, match=r"metric hpl: .*not comparable: machine: base Test CPU.*head Other CPU"):
        gate(machine).run()
    report = gate(machine, allowed=frozenset({"machine"})).run()
    assert report.verdicts[0].word == "same" and "machine" in report.differences[0]


def test_a_control_that_falls_is_measured_again_before_it_is_believed():
    blip = FakeMachine(controls=[60e9, 60e9, 40e9, 60e9])
    assert not gate(blip).run().verdicts[0].dropped
    fall = FakeMachine(controls=[60e9, 60e9, 40e9, 40e9, 40e9])
    assert gate(fall).run().verdicts[0].dropped == ["pair 1: control moved by 50.0%", "pair 2: control moved by 50.0%"]


def test_the_control_runs_on_as_many_threads_as_the_metrics():
    machine = FakeMachine()
    gate(machine).run()
    assert set(machine.asked) == {record().threads_per_rank}


def test_records_of_all_counted_legs_are_kept(tmp_path):
    gate(FakeMachine(), output=tmp_path).run()
    assert len(list((tmp_path / "base").glob("*.json"))) == len(list((tmp_path / "head").glob("*.json"))) == 10


def test_a_self_check_reports_a_floor_and_a_threshold_below_it_is_refused():
    report = gate(FakeMachine()).run()
    floor = noise.from_self_check("this machine", report.verdicts)
    assert 0 < floor.floors["hpl"] < 0.02
    noise.refuse_below(floor, 0.02)
    with pytest.raises(BadInput, match=r"threshold 0.0005 is below the noise floor 0.00\d+ of hpl"):
        noise.refuse_below(floor, 0.0005)


def test_a_contaminated_self_check_gives_no_floor():
    machine = FakeMachine(controls=[60e9 * 1.06**i for i in range(99)])
    report = gate(machine).run()
    assert report.verdicts[0].word == "contaminated"
    assert noise.from_self_check("this machine", report.verdicts).floors == {}


@pytest.mark.parametrize(
    ("machine", "budget_s", "code"),
    [
        (FakeMachine(), 300.0, 0),
        (FakeMachine(leg_s=10), 70.0, 3),  # too few pairs for an interval
        (FakeMachine(controls=[60e9 * 1.06**i for i in range(99)]), 300.0, 3),
        (FakeMachine(verdict="FAILED"), 300.0, 1),
        (FakeMachine(ratio=0.7), 300.0, 1),  # the same code, yet slower, twice: this machine cannot be trusted
    ],
)
def test_a_self_check_passes_only_with_a_floor_for_every_metric(machine, budget_s, code):
    verdicts = gate(machine, config={"budget_s": budget_s}).run().verdicts
    result = GateResult(verdicts, 0.9, {}, noise.from_self_check("here", verdicts))
    result.refuse()
    assert result.exit_code == code


def test_a_noise_floor_of_another_machine_decides_nothing_here(tmp_path):
    noise.write_noise_floor(noise.NoiseFloor(machine="other", floors={"hpl": 0.5}), tmp_path / "floor.json")
    with pytest.raises(BadInput, match="another machine"):
        noise.refuse_other_machine(noise.read_noise_floor(tmp_path / "floor.json"), "this")


@pytest.mark.parametrize(
    "text", ["", "{}", '{"machine": "x", "floors": {"a": "b"}}', '{"machine":"x","floors":{},"y":1}']
)
def test_a_broken_noise_floor_file_is_bad_input(tmp_path, text):
    (tmp_path / "floor.json").write_text(text)
    with pytest.raises(BadInput, match=r"floor\.json"):
        noise.read_noise_floor(tmp_path / "floor.json")


def test_the_configuration_to_copy_is_the_default():
    assert read_config(Path(__file__).parents[2] / "configs" / "ci.toml") == read_config(DEFAULT_CONFIG)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "metric"),
        ("metric = []", "at least one"),
        ('[[metric]]\nname="a"\nrun=[]', "a command under `run`"),
        ('[[metric]]\nname="a"\nrun=["hpl"]\n[[metric]]\nname="a"\nrun=["hpl"]', "a name of its own"),
        ('tresh=1\n[[metric]]\nname="a"\nrun=["hpl"]', "tresh"),
        ('[[metric]]\nname="a"\nrun=["hpl"]\nn=3', "unknown field `n`"),
        ("not toml", "Expected"),
    ],
)
def test_a_configuration_with_a_mistake_is_refused_by_name(tmp_path, text, named):
    (tmp_path / "ci.toml").write_text(text)
    with pytest.raises(BadInput, match=named):
        read_config(tmp_path / "ci.toml")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("looks = [20, 10]", "looks"),
        ("looks = [5]", "7 at least"),
        ("looks = []", "looks"),
        ("threshold = 1.5", "threshold"),
        ("budget_s = 0", "budget_s"),
        ("limits = {drift = 0.0}", "limits"),
    ],
)
def test_rules_that_make_no_sense_are_refused(tmp_path, line, named):
    (tmp_path / "ci.toml").write_text(f'{line}\n[[metric]]\nname="a"\nrun=["hpl"]')
    with pytest.raises(BadInput, match=named):
        configure(GateRequest(config=tmp_path / "ci.toml", self_check=True))


def test_the_command_line_wins_over_the_configuration():
    config = configure(GateRequest(base_python="/opt/py", threshold=0.05, budget=60, head_kernel="lu_fp64_x"))
    assert (config.base.python, config.threshold, config.budget_s) == ("/opt/py", 0.05, 60)
    assert config.head.options == ["--kernel", "lu_fp64_x"]
    check = configure(GateRequest(self_check=True, head_kernel="lu_fp64_x"))
    assert check.base == check.head and check.looks == (10,)


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (GateRequest(), "base and head are the same"),
        (GateRequest(revision="main", base_python="x"), "name one"),
        (GateRequest(revision="main", self_check=True), "name one"),
    ],
)
def test_no_base_or_two_bases_are_bad_input(request_, named):
    with pytest.raises(BadInput, match=named):
        configure(request_)


def test_an_unknown_revision_is_named(tmp_path):
    with pytest.raises(BadInput, match="no-such-revision"):
        run_gate(GateRequest(revision="no-such-revision", repository=Path(__file__).parent), lambda line: None)
    with pytest.raises(BadInput, match="repository"):
        run_gate(GateRequest(revision="main", repository=tmp_path), lambda line: None)


STAT = """cpu  100 0 100 1000 0 0 0 50 0 0
cpu0 40 1 10 500 9 1 2 20 0 0
cpu1 60 2 90 500 3 0 1 30 5 0
intr 12 0"""


def test_cpu_times_are_read_of_our_cpus_only():
    total, busy, steal = cpu_time.parse_stat(STAT, {1}, 100)
    assert (total, busy, steal) == pytest.approx((6.86, 1.53, 0.30))
    assert cpu_time.parse_stat(STAT, {0, 1}, 100)[2] == pytest.approx(0.5)


def test_what_our_legs_used_is_not_a_neighbours():
    before = cpu_time.CpuTimes(total=100, busy=10, steal=1, own=5)
    after = cpu_time.CpuTimes(total=104, busy=13, steal=1.2, own=7)
    assert (after - before).shares() == pytest.approx((0.05, 0.25))
    assert (after - before + after - before).shares() == pytest.approx((0.05, 0.25))
    assert cpu_time.CpuTimes().shares() == (0.0, 0.0)


def test_a_process_is_charged_for_itself_and_its_children_whatever_its_name():
    stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 900 0 0 0 100 20 3 4 20 0 1 0 5 6 7"
    assert cpu_time.parse_process(stat, 100) == pytest.approx(1.27)
    assert cpu_time.now(os.getpid()).own > 0
    assert cpu_time.now(2**22 + 1) == cpu_time.CpuTimes()  # no such process: nothing is known


def fake_python(tmp_path, answers: object, code: int = 0) -> Side:
    """A "Python" that writes `answers` to where a leg's answer belongs, and ends with `code`."""
    (tmp_path / "answers.json").write_text(answers if isinstance(answers, str) else json.dumps(answers))
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\ncat {tmp_path}/answers.json > "$4"\necho it broke >&2\nexit {code}\n')
    program.chmod(0o755)
    return Side(python=str(program))


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        ("", "no answer: it broke"),
        ([{"exit_code": 2, "stdout": ""}], "exit code 2: it broke"),
        ([{"exit_code": 4, "stdout": ""}], "exit code 4"),
        ([{"exit_code": 0, "stdout": ""}], "printed no records"),
        ([{"exit_code": 0, "stdout": '{"results": []}'}], "0 records"),
        ([{"exit_code": 0, "stdout": '{"results": [1, 2]}'}], "2 records"),
        ([{"exit_code": 0, "stdout": '{"results": [{"schema_version": 1}]}'}], "not a valid record"),
    ],
)
def test_an_empty_or_failing_leg_is_an_error_never_a_pass(tmp_path, answers, named):
    with pytest.raises(BadInput, match=f"base leg.*{named}"):
        run_legs([(BASE, fake_python(tmp_path, answers))], [HPL])


def test_a_python_that_is_not_there_or_hangs_is_an_error(tmp_path):
    with pytest.raises(BadInput, match="cannot start"):
        run_legs([(HEAD, Side(python=str(tmp_path / "nothing")))], [HPL])
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(BadInput, match=r"no end after 0\.2 s"):
        run_legs([(HEAD, Side(python=str(tmp_path / "python")))], [HPL], timeout_s=0.2)


def test_the_command_line_of_a_leg_keeps_records_out_of_the_users_results():
    line = command_line(HPL, Side(options=["--kernel", "lu_fp64_x"]), "/tmp/leg")
    assert line == ["hpl", "--n", "100", "--kernel", "lu_fp64_x", "--json", "--output", "/tmp/leg"]


def test_a_real_leg_gives_a_record_a_metric():
    small = [Metric(name=name, run=["hpl", "--n", n, "--repeat", "2"]) for name, n in (("a", "64"), ("b", "96"))]
    run = run_legs([(HEAD, Side())], small)[0]
    assert {name: r.problem.n for name, r in run.records.items()} == {"a": 64, "b": 96}
    assert run.leg.rates["a"] == run.records["a"].rmax_flops > 0 and not run.leg.failures


@pytest.mark.slow
def test_the_default_metrics_give_one_record_each():
    small = [
        Metric(name=metric.name, run=["128" if part in ("1500", "2000") else part for part in metric.run])
        for metric in read_config(DEFAULT_CONFIG).metric
    ]
    run = run_legs([(HEAD, Side())], small)[0]
    assert [r.precision for r in run.records.values()] == ["fp64", "fp64", "int8"]
    assert len(run.leg.rates) == 3


def test_a_real_leg_with_a_bad_option_is_an_error_that_shows_the_message():
    with pytest.raises(BadInput, match=r"head leg, metric a: `flopbench hpl --n 0` ended with exit code 2: .*--n"):
        run_legs([(HEAD, Side())], [Metric(name="a", run=["hpl", "--n", "0"])])


def control(tmp_path, body: str) -> Control:
    program = tmp_path / "control.sh"
    program.write_text(body)
    return Control(["sh", str(program)])


def test_the_control_lives_through_the_gate_and_answers_each_time(tmp_path):
    noisy = 'i=1; while read threads; do echo noise; echo "flopbench-control ${threads}${i}e9"; i=$((i+1)); done'
    with control(tmp_path, noisy) as living:
        assert [living.rate(4), living.rate(5)] == [42e9, 53e9]  # the first one was the warm-up


@pytest.mark.parametrize(
    ("body", "error", "named"),
    [
        ("exit 7", BadInput, "code 7"),
        ("read line; echo flopbench-control none no FMA here", NotPossible, "no FMA here"),
    ],
)
def test_a_control_that_dies_or_cannot_is_an_error(tmp_path, body, error, named):
    with pytest.raises(error, match=named), control(tmp_path, body):
        pass


def test_help_names_the_exit_codes():
    text = CliRunner().invoke(command, ["--help"]).output
    assert "Exit code: 0 no regression, 1 slower" in " ".join(text.split())
