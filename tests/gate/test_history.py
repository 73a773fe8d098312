"""A history finds the steps that last, not the runs that were odd, and keeps machines and metrics apart."""

from __future__ import annotations

import math
import random
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopbench.cli import run
from flopbench.history import _costs_from, find_steps, histories
from flopbench.results import write

sys.path.insert(0, str(Path(__file__).parent))
from gate_records import on, record


def rates(levels, noise=0.02, seed=1):
    rng = random.Random(seed)
    return [50e9 * level * math.exp(rng.gauss(0, noise)) for level in levels]


def test_a_step_is_found_where_it_is_with_its_size():
    (step,) = find_steps(rates([1.0] * 12 + [0.8] * 9))
    assert step.index == 12 and step.change == pytest.approx(-0.2, abs=0.03)


def test_two_steps_are_told_apart():
    steps = find_steps(rates([1.0] * 8 + [0.8] * 8 + [1.1] * 8))
    assert [step.index for step in steps] == [8, 16]
    assert steps[0].change < 0 < steps[1].change


@pytest.mark.parametrize(
    "levels",
    [
        [1.0] * 20,
        [1.0] * 9 + [0.5, 0.6] + [1.0] * 9,  # two odd runs
        [1.0] * 10 + [0.97] * 10,  # below what is reported
        [1.0, 0.5],
        [],
    ],
)
def test_noise_odd_runs_and_small_changes_are_no_steps(levels):
    assert find_steps(rates(levels, noise=0.005)) == []


def test_a_series_without_any_noise_is_no_division_by_zero():
    assert find_steps([1.0] * 20) == []
    assert [step.index for step in find_steps([1.0] * 10 + [2.0] * 10)] == [10]


def test_stationary_noise_rarely_makes_a_step():
    found = sum(bool(find_steps(rates([1.0] * 30, noise=0.03, seed=seed))) for seed in range(60))
    assert found <= 1


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=15))
def test_the_running_cost_is_the_sum_of_distances_from_the_median(xs):
    for end, cost in enumerate(_costs_from(xs, 0), 1):
        ordered = sorted(xs[:end])
        centre = ordered[end // 2]
        assert cost == pytest.approx(sum(abs(x - centre) for x in ordered), abs=1e-9)


def test_machines_sizes_and_failures_are_kept_apart():
    records = [record(minute=i) for i in range(3)] + [record(n=2000), record(machine=on("Other CPU"))]
    found = histories([*records, record(verdict="FAILED")])
    assert sorted(len(series.runs) for series in found) == [1, 1, 3]


@pytest.fixture
def folder(tmp_path):
    for minute, rate in enumerate(rates([1.0] * 8 + [0.8] * 8)):
        write(record(rate, minute=minute, ceiling=60e9), tmp_path / "results" / "deep")
    return tmp_path / "results"


def test_the_command_prints_runs_and_the_step(folder, capsys):
    assert run(["report", "--history", str(folder)]) == 0
    text = capsys.readouterr().out
    assert text.count("2026-01-01") == 16 and re.search(r"-(19|20|21)\.\d %", text) and "piecewise-constant" in text
    assert max(map(len, text.splitlines())) <= 80


def test_as_markdown_and_as_a_picture(folder, tmp_path, capsys):
    assert run(["report", "--history", str(folder), "--markdown", "--plot", str(tmp_path / "h.svg")]) == 0
    assert "| run (UTC) |" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "h.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "named"), [(["--html", "x.html"], "--html"), (["--plot", "x.gif"], "ending must be one of")]
)
def test_what_a_history_cannot_do_is_bad_input(folder, capsys, arguments, named):
    assert run(["report", "--history", str(folder), *arguments]) == 2
    assert named in capsys.readouterr().err


def test_records_without_a_rate_have_no_history(tmp_path, capsys):
    write(record(verdict="FAILED"), tmp_path)
    assert run(["report", "--history", str(tmp_path)]) == 2
    assert "no history" in capsys.readouterr().err
