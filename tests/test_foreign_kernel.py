"""A stranger's package adds a kernel with one file and one line, and flopbench runs it by name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "strangers-kernels"
version = "1"
[project.entry-points."flopbench.kernels"]
lu_fp64_stranger = "stranger:LuStranger"
[tool.hatch.build.targets.wheel]
include = ["stranger.py"]
"""

KERNEL = """\
import numpy as np
from flopbench.kernel_api import Kernel, LuOutcome


class LuStranger(Kernel):
    name = "lu_fp64_stranger"
    routine, precision, backend = "lu", "fp64", "stranger"
    summary = "numpy.linalg.solve, by a stranger"

    def why_not(self, machine):
        return None

    def memory_bytes(self, problem):
        return 3 * 8 * problem.n**2

    def setup(self, problem, comm, machine):
        self.problem = problem

    def reset(self):
        self.whole = np.empty((self.problem.n, self.problem.n + 1), order="F")
        self.problem.matrix.fill(self.whole, 0, 0)

    def run(self):
        self.x = np.linalg.solve(self.whole[:, :-1], self.whole[:, -1])

    def outcome(self):
        return LuOutcome(self.x)

    def close(self):
        self.whole = None
"""


@pytest.mark.slow
def test_a_foreign_package_is_built_installed_and_run_by_name(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text(PYPROJECT)
    (package / "stranger.py").write_text(KERNEL)
    environment = tmp_path / "environment"
    # A temporary environment: what is installed here, plus the stranger's wheel, built without a network.
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*install, "--disable-pip-version-check", "--target", str(environment), str(package)], check=True)
    env = {**os.environ, "PYTHONPATH": str(environment)}
    flopbench = [sys.executable, "-c", "from flopbench.cli import main; main()"]
    listed = subprocess.run([*flopbench, "kernels"], env=env, capture_output=True, text=True, check=True)
    assert "lu_fp64_stranger" in listed.stdout
    results = tmp_path / "results"
    run = [*flopbench, "hpl", "--n", "100", "--kernel", "lu_fp64_stranger", "--repeat", "1", "--output", str(results)]
    done = subprocess.run(run, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "PASSED" in done.stdout
    assert len(list(Path(results).glob("*_lu_fp64_stranger_*.json"))) == 1
