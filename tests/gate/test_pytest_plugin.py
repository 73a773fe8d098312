"""The fixture flopbench_rate, in other people's test suites: pytest in a process of its own, the ceiling a fake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

CONFTEST = """
import sys, types
from types import SimpleNamespace
ceiling = types.ModuleType("flopbench.ceiling")
ceiling.measure = lambda precision, threads, machine: {ceiling}
sys.modules["flopbench.ceiling"] = ceiling
"""
SUITE = """
    import time

    def test_sleep(flopbench_rate):
        assert flopbench_rate(time.sleep, 0.001, flops=1e6, precision="fp32") is None
"""
KNOWN = "SimpleNamespace(flops=4e9)"
#: Without what pytest tells its own processes: in one of pytest-xdist's, pytest-benchmark would measure nothing.
SURROUNDINGS = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


@pytest.fixture
def suite(tmp_path):
    def run(
        *arguments: str, body: str = SUITE, ceiling: str = KNOWN, environment=None
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "conftest.py").write_text(CONFTEST.format(ceiling=ceiling))
        (tmp_path / "test_it.py").write_text(textwrap.dedent(body))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--benchmark-max-time=0.02",
            *arguments,
        ]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env=SURROUNDINGS | (environment or {})
        )

    return run


def test_it_records_count_rate_and_share_of_the_ceiling(suite, tmp_path):
    done = suite("--benchmark-json=out.json")
    assert done.returncode == 0, done.stdout
    (bench,) = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    info = bench["extra_info"]
    assert info["flop_count"] == 1e6 and info["precision"] == "fp32" and info["unit"] == "FLOP/s"
    assert info["rate_flops"] == pytest.approx(1e6 / bench["stats"]["min"])
    assert info["of_ceiling"] == pytest.approx(info["rate_flops"] / 4e9)
    assert "of the measured ceiling" in done.stdout and "compared run" not in done.stdout


def test_compare_shows_both_rates(suite):
    suite("--benchmark-save=first")
    done = suite("--benchmark-compare")
    assert done.returncode == 0, done.stdout
    assert "compared run: " in done.stdout and "ratio " in done.stdout


def test_a_machine_without_a_ceiling_still_gets_its_rate(suite, tmp_path):
    done = suite("--benchmark-json=out.json", ceiling="'no loop for this'")
    assert done.returncode == 0 and "ceiling" not in done.stdout
    (bench,) = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert bench["extra_info"]["of_ceiling"] is None
    assert bench["extra_info"]["ceiling_reason"] == "no loop for this"


def test_disabled_benchmarks_run_once_and_claim_no_rate(suite):
    done = suite("--benchmark-disable")
    assert done.returncode == 0 and "flopbench rates" not in done.stdout


def test_skipped_benchmarks_are_skipped_with_it(suite):
    assert "1 skipped" in suite("--benchmark-skip").stdout


@pytest.mark.parametrize(("argument", "named"), [("flops=0", "flops=0"), ("flops=1, precision='fp65'", "did you mean")])
def test_bad_arguments_are_named(suite, argument, named):
    done = suite(body=f"def test_it(flopbench_rate): flopbench_rate(len, 'x', {argument})")
    assert done.returncode == 1 and named in done.stdout


def test_without_pytest_benchmark_nothing_breaks_and_the_fixture_says_why(suite, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'pytest_benchmark' else real(name, *a)\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:benchmark",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
    ]
    (tmp_path / "test_it.py").write_text(textwrap.dedent(SUITE) + "\ndef test_other(): pass\n")
    environment = SURROUNDINGS | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "1 passed, 1 skipped" in done.stdout, done.stdout
    assert "pip install pytest-benchmark" in done.stdout


def test_the_plugin_costs_a_foreign_suite_no_heavy_imports(suite):
    heavy = "{'numba', 'scipy', 'numpy', 'msgspec', 'matplotlib'}"
    body = f"import sys\ndef test_it(): assert not {heavy} & set(sys.modules)"
    assert suite("-p", "no:hypothesispytest", body=body).returncode == 0
