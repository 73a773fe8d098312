"""Which instruction set is used: the best that is there, the user's choice, and a reason where it cannot be."""

from __future__ import annotations

import copy

import pytest
from flopbench_kernels.gemm_numba import isa, microkernels

from flopbench import registry
from flopbench.comm import SelfComm
from flopbench.errors import NotPossible, UnknownName
from flopbench.kernel_api import GemmProblem, Settings
from flopbench.machine.detect import detect

ALL = sorted({flag for flags in isa.NEEDS.values() for flag in flags})


def machine_with(flags):
    machine = copy.deepcopy(detect())
    machine.cpu.isa = sorted(flags)
    return machine


@pytest.fixture
def permitted(monkeypatch):
    monkeypatch.setattr(isa, "tile_permission", lambda: None)


@pytest.fixture
def refused(monkeypatch):
    monkeypatch.setattr(isa, "tile_permission", lambda: "Operation not permitted")


BEST = {
    ("fp64", "float64"): "avx512",
    ("fp32", "float32"): "avx512",
    ("bf16", "float32"): "amx",
    ("fp16", "float32"): "amxfp16",
    ("fp16", "float16"): "avx512fp16",
    ("int8", "int32"): "amx",
}


@pytest.mark.parametrize(("precision", "accumulator"), BEST)
def test_a_processor_with_everything_uses_the_best(precision, accumulator, permitted):
    row = microkernels.choose(precision, accumulator, isa.supported(machine_with(ALL)), None)
    assert row.isa == BEST[precision, accumulator]


@pytest.mark.parametrize(
    ("name", "cap", "expected"),
    [
        ("gemm_int8_numba", "avx512_vnni", "avx512vnni"),
        ("gemm_int8_numba", "AVX512-VNNI", "avx512vnni"),
        ("gemm_int8_numba", "avx2", "avx2"),
        ("gemm_bf16_numba", "avx512bf16", "avx512bf16"),
        ("gemm_fp64_numba", "amx", "avx512"),
        ("gemm_fp16_numba", "amx", "avx512"),
    ],
)
def test_the_user_sets_the_most_that_may_be_used(name, cap, expected, permitted):
    kernel = registry.load(name)(Settings(isa=cap))
    assert kernel._row(machine_with(ALL)).isa == expected
    assert kernel.why_not(machine_with(ALL)) is None


@pytest.mark.parametrize(
    ("name", "cap", "reason"),
    [
        ("gemm_fp16_numba_acc16", None, "needs avx512f, avx512bw, avx512_fp16"),
        ("gemm_int8_numba", "avx512vnni", "needs avx512f, avx512bw, avx512_vnni"),
        ("gemm_bf16_numba", "amx", "needs amx_tile, amx_int8, amx_bf16"),
        ("gemm_fp64_numba", "avx512", "needs avx512f, avx512bw, avx512dq, avx512vl"),
    ],
)
def test_what_is_asked_for_and_lacking_is_a_reason(name, cap, reason):
    kernel = registry.load(name)(Settings(isa=cap))
    assert kernel.why_not(machine_with(["avx2", "fma", "f16c"])) == reason


def test_what_the_processor_has_and_the_user_rules_out_is_a_reason(permitted):
    kernel = registry.load("gemm_fp16_numba_acc16")(Settings(isa="avx512"))
    assert kernel.why_not(machine_with(ALL)) == "needs avx512fp16, which is above --isa avx512"


def test_a_kernel_that_cannot_run_refuses_to_be_set_up():
    kernel = registry.load("gemm_fp16_numba_acc16")()
    with pytest.raises(NotPossible, match="gemm_fp16_numba_acc16 is not possible here: needs avx512f"):
        kernel.setup(GemmProblem(4, 4, 4, "fp16"), SelfComm(), machine_with(["avx2", "fma", "f16c"]))
    assert kernel.describe() == {}


def test_tiles_that_the_kernel_refuses_are_not_used_and_the_reason_is_kept(refused):
    machine = machine_with(ALL)
    kernel = registry.load("gemm_int8_numba")(Settings(threads=1))
    assert kernel._row(machine).isa == "avx512vnni"
    assert "refuses them to this process (Operation not permitted)" in kernel._better_than(
        kernel._row(machine), machine
    )
    asked = registry.load("gemm_int8_numba")(Settings(isa="amx"))
    assert asked.why_not(machine).startswith("needs AMX tiles, and the kernel refuses them")


def test_asking_the_kernel_for_tiles_never_crashes():
    assert isa.tile_permission() is None or isinstance(isa.tile_permission(), str)


def test_an_unknown_instruction_set_lists_the_near_ones():
    with pytest.raises(UnknownName, match="did you mean"):
        registry.load("gemm_fp64_numba")(Settings(isa="avx1024"))


def test_levels_and_table_know_the_same_instruction_sets():
    assert {row.isa for row in microkernels.TABLE} == set(isa.NEEDS)
