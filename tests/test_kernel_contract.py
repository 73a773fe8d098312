"""One table, the registry, drives the contract: every LU kernel that is registered gets these tests by being there."""

import re
import subprocess
import sys

import numpy as np
import pytest

from flopbench import registry
from flopbench.comm import SelfComm
from flopbench.errors import BadInput, UnknownName
from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuProblem, Settings
from flopbench.machine.detect import detect
from flopbench.precision import PRECISIONS
from flopbench.verify.lu import check

KERNELS = registry.installed()
MACHINE = detect()
LU = [name for name, entry in KERNELS.items() if entry.load().routine == "lu"]


def possible(name):
    kernel = registry.load(name)(Settings(threads=2))
    reason = kernel.why_not(MACHINE)
    if reason is not None:
        pytest.skip(f"{name} is not possible here: {reason}")
    return kernel


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_called_what_it_is(name):
    cls = registry.load(name)
    assert name.startswith(f"{cls.routine}_{cls.precision}_{cls.backend}")
    assert cls.routine in {"lu", "gemm"}
    assert cls.precision in PRECISIONS
    assert cls.device in {"cpu", "cuda"}
    assert cls.summary and "\n" not in cls.summary


@pytest.mark.parametrize("name", KERNELS)
def test_why_not_is_one_line_or_nothing_and_never_raises(name):
    reason = registry.load(name)(Settings()).why_not(MACHINE)
    assert reason is None or re.fullmatch(r"[^\n]{5,}", reason)


@pytest.mark.parametrize("name", KERNELS)
def test_close_may_come_before_setup_and_twice(name):
    kernel = registry.load(name)(Settings())
    kernel.close()
    kernel.close()


@pytest.mark.parametrize("n", [1, 2, 3, 31, 32, 33, 97, 250])
@pytest.mark.parametrize("name", LU)
def test_an_lu_kernel_solves_hpls_problem(name, n):
    kernel = possible(name)
    problem = LuProblem(n=n, nb=32, matrix=HplMatrix(n))
    kernel.setup(problem, SelfComm(), MACHINE)
    try:
        kernel.reset()
        kernel.run()
        verdict = check(problem, kernel.outcome(), SelfComm())
    finally:
        kernel.close()
    assert verdict.verdict == "PASSED", verdict.reason


@pytest.mark.parametrize("name", LU)
def test_reset_makes_the_next_run_the_same_run(name):
    kernel = possible(name)
    kernel.setup(LuProblem(n=120, nb=16, matrix=HplMatrix(120)), SelfComm(), MACHINE)
    answers = []
    for _ in range(2):
        kernel.reset()
        kernel.run()
        answers.append(np.array(kernel.outcome().x))
    kernel.close()
    assert np.allclose(*answers, rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", LU)
def test_the_stated_memory_covers_the_matrix_and_stays_within_fifteen_percent(name):
    kernel = possible(name)
    stated = kernel.memory_bytes(LuProblem(n=16000, nb=200, matrix=HplMatrix(16000)))
    assert 8 * 16000**2 <= stated <= 1.15 * 8 * 16000**2 + 300e6


def test_a_name_that_is_not_known_lists_near_ones_and_says_how_to_install():
    with pytest.raises(UnknownName, match="did you mean lu_fp64_numpy.*make install"):
        registry.load("lu_fp64_numpi")


def _point(name, value, package="mine"):
    from importlib.metadata import EntryPoint

    class Dist:
        pass

    Dist.name = package
    point = EntryPoint(name, value, registry.GROUP)
    vars(point)["dist"] = Dist
    return point


def test_the_same_name_twice_is_an_error_that_names_both_packages():
    points = [_point("lu_fp64_x", "a:A", "one"), _point("lu_fp64_x", "b:B", "two")]
    with pytest.raises(BadInput, match="registered twice, by 'one' and 'two'"):
        registry.installed(points)


@pytest.mark.parametrize("name", ["LU_fp64_x", "lu-fp64-x", "lu", "lu__x", "lü_fp64_x"])
def test_a_name_outside_the_alphabet_is_refused(name):
    with pytest.raises(BadInput, match="only a-z, 0-9 and single _"):
        registry.installed([_point(name, "a:A")])


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("no_such_module:X", "cannot be imported: ModuleNotFoundError"),
        ("json:loads", "is no Kernel class"),
        ("flopbench_kernels.lu_lapack:LuLapack", "calls itself 'lu_fp64_numpy'"),
    ],
)
def test_a_broken_package_is_one_line_with_the_kernel_and_the_package(value, complaint):
    entry = registry.installed([_point("lu_fp64_mine", value)])["lu_fp64_mine"]
    with pytest.raises(BadInput, match=complaint):
        entry.load()


def test_a_name_that_hides_what_the_kernel_does_is_refused():
    """Kernels of a routine are found by their names, so that no other library is imported."""
    entry = registry.installed([_point("gemm_fp64_misnamed", "broken_kernels:Misnamed")])["gemm_fp64_misnamed"]
    with pytest.raises(BadInput, match="does lu in fp64; its name must begin with lu_fp64_"):
        entry.load()


def test_looking_for_lu_kernels_imports_no_other():
    assert {cls.routine for cls in registry.of_routine("lu")} == {"lu"}
    code = "from flopbench import registry; registry.of_routine('lu'); import sys; print([m for m in sys.modules if 'gemm' in m])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_pyproject_and_the_installed_metadata_name_the_same_kernels():
    """Entry points are read from the installed metadata; after adding one, `make install`."""
    import tomllib
    from pathlib import Path

    listed = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["entry-points"]
    ours = {name for name, entry in KERNELS.items() if entry.package == "flopbench"}
    assert ours == set(listed[registry.GROUP]), "run `make install`"
