"""Every GEMM kernel of a processor keeps the contract: random operands, a poisoned C, the product, and what it says of itself."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest

from flopbench import registry
from flopbench.comm import SelfComm
from flopbench.errors import BadInput, UnknownName
from flopbench.kernel_api import GemmProblem, Settings
from flopbench.machine.detect import detect

MACHINE = detect()
OURS = [
    name
    for name, entry in registry.installed().items()
    if name.startswith("gemm_")
    and entry.entry_point.value.startswith(("flopbench_kernels.gemm_numpy", "flopbench_kernels.gemm_numba"))
]


def bare(machine):
    """The same machine without any instruction set extension."""
    lesser = copy.deepcopy(machine)
    lesser.cpu.isa = []
    return lesser


def as_float(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint16:
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(np.float64)


def possible(name: str, settings: Settings | None = None):
    kernel = registry.load(name)(settings or Settings(threads=1))
    reason = kernel.why_not(MACHINE)
    if reason:
        pytest.skip(reason)
    return kernel


@pytest.mark.parametrize("beta", [0, 1])
@pytest.mark.parametrize("name", OURS)
def test_the_product_is_right_and_nothing_is_left_of_the_poison(name, beta):
    kernel = possible(name)
    problem = GemmProblem(m=33, n=47, k=65, precision=kernel.precision, beta=beta)
    kernel.setup(problem, SelfComm(), MACHINE)
    for _ in range(2):
        kernel.reset()
        poisoned = kernel.outcome().c.copy()
        kernel.run()
    seen = kernel.outcome()
    start = as_float(seen.c0) if beta else 0.0
    expected = as_float(seen.a) @ as_float(seen.b) + start
    if beta == 0:
        assert (
            np.isnan(poisoned).all() if poisoned.dtype.kind == "f" else (poisoned == np.iinfo(np.int32).min + 1).all()
        )
    unit = {"float64": 1e-15, "float32": 1e-6, "float16": 1e-2, "int32": 0.0}
    tolerance = max(unit[seen.accumulator], unit[seen.c.dtype.name]) * 65
    assert np.abs(seen.c - expected).max() <= tolerance
    assert seen.a.shape == (33, 65) and seen.b.shape == (65, 47)
    assert kernel.accumulator == seen.accumulator
    kernel.close()
    kernel.close()


@pytest.mark.parametrize("name", OURS)
def test_operands_are_random_and_come_from_the_seed(name):
    kernel = possible(name)
    seen = []
    for seed in (1, 1, 2):
        kernel.setup(GemmProblem(16, 16, 16, kernel.precision, seed=seed), SelfComm(), MACHINE)
        seen.append((kernel.outcome().a.copy(), kernel.outcome().b.copy()))
        kernel.close()
    assert np.array_equal(seen[0][0], seen[1][0]) and np.array_equal(seen[0][1], seen[1][1])
    assert not np.array_equal(seen[0][0], seen[2][0])
    assert not np.array_equal(seen[0][0], seen[0][1])
    assert len(np.unique(seen[0][0])) > 100


@pytest.mark.parametrize("name", OURS)
def test_memory_is_known_before_it_is_taken(name):
    kernel = registry.load(name)()
    problem = GemmProblem(1000, 1000, 1000, kernel.precision)
    item = 8 if kernel.precision == "fp64" else 1
    assert 3 * item * 10**6 <= kernel.memory_bytes(problem) < 100 * 10**6


def test_int8_operands_use_the_whole_range():
    kernel = possible("gemm_int8_numpy")
    kernel.setup(GemmProblem(64, 64, 64, "int8"), SelfComm(), MACHINE)
    assert kernel.outcome().a.min() == -128 and kernel.outcome().a.max() == 127
    kernel.close()


def test_a_lacking_instruction_set_is_named_and_never_replaced_in_silence():
    kernel = registry.load("gemm_fp64_numba")(Settings(isa="avx512"))
    assert kernel.why_not(bare(MACHINE)) == "needs avx512f, avx512bw, avx512dq, avx512vl"
    assert registry.load("gemm_fp64_numba")().why_not(bare(MACHINE)) is None, "plain vectors need nothing"


def test_an_unknown_instruction_set_is_bad_input():
    with pytest.raises(UnknownName, match="unknown instruction set 'avx3'; did you mean"):
        registry.load("gemm_fp64_numba")(Settings(isa="avx3"))


@pytest.mark.parametrize("name", ["gemm_fp64_numba", "gemm_fp64_numpy"])
def test_no_threads_is_bad_input(name):
    with pytest.raises(BadInput, match="threads: got 0"):
        kernel = registry.load(name)(Settings(threads=0))
        kernel.setup(GemmProblem(4, 4, 4, "fp64"), SelfComm(), MACHINE)


def test_the_numba_kernel_says_what_it_chose():
    kernel = possible("gemm_fp32_numba", Settings(threads=2, isa="generic"))
    assert kernel.describe() == {}
    kernel.setup(GemmProblem(64, 64, 64, "fp32"), SelfComm(), MACHINE)
    said = kernel.describe()
    kernel.close()
    assert said["instruction set"] == "generic"
    assert said["micro-kernel"] == "fp32_float32_generic_6x8"
    assert said["threads"] == "2"
    assert said["blocking"].startswith("m_c ")


def test_threads_default_to_the_usable_cores():
    machine = SimpleNamespace(cpu=MACHINE.cpu, limits=SimpleNamespace(usable_cores=3))
    kernel = registry.load("gemm_fp64_numba")()
    kernel.setup(GemmProblem(8, 8, 8, "fp64"), SelfComm(), machine)
    assert kernel.describe()["threads"] == "3"
    kernel.close()
