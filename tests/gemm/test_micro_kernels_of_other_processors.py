"""Micro-kernels for instructions that this processor may lack.

Their packing, addressing, loops and corrections run here around models of the instructions, and the code generator must make of each the
instructions that it is meant for. On a processor that has them, test_numba_product.py runs them as they are.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from flopbench_kernels.gemm_numba import codegen, micro_tiles, microkernels
from flopbench_kernels.gemm_numba.blocking import Blocking
from flopbench_kernels.gemm_numba.multiply import Product
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from instruction_models import Model
from layout_cases import Case, cases

SPECIAL = [row for row in microkernels.TABLE if not row.portable]


@cache
def code(row: microkernels.MicroKernel) -> codegen.Compiled:
    return codegen.compile_here(row.module(Model()), "native")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(SPECIAL, threads=st.just(1)))
def test_any_shape_and_layout_gives_the_product(case):
    case.compute(code(case.row))


@pytest.mark.parametrize("row", SPECIAL, ids=lambda row: row.label)
def test_whole_tiles_and_edges(row):
    Case(row, m=2 * row.m_r + 1, n=2 * row.n_r + 1, k=3 * row.granule + 1, threads=1).compute(code(row))


@pytest.mark.parametrize("row", [row for row in SPECIAL if row.precision == "int8"], ids=lambda row: row.label)
@pytest.mark.parametrize(("x", "y"), [(-128, -128), (-128, 127), (127, 127), (-128, 0)])
def test_extreme_int8_values_do_not_saturate(row, x, y):
    a, b = np.full((row.m_r, 1000), x, dtype=np.int8), np.full((1000, row.n_r), y, dtype=np.int8)
    c = np.empty((row.m_r, row.n_r), dtype=np.int32)
    product = Product(row, Blocking(row.m_r, row.n_r, 4 * row.granule), a, b, c, code=code(row))
    product.run()
    product.close()
    assert (c == 1000 * x * y).all()


#: Instructions of the inner loop, on a processor that has them: (processor, {mnemonic: how many}).
INNER_LOOP = {
    "fp64_float64_avx2_4x12": ("haswell", {"vfmadd231pd": 48, "vbroadcastsd": 16, "vmovapd": 12, "prefetcht0": 3}),
    "fp64_float64_avx512_8x24": (
        "skylake-avx512",
        {"vfmadd231pd": 96, "vbroadcastsd": 32, "vmovapd": 12, "prefetchw": 3, "prefetcht0": 1},
    ),
    "fp32_float32_avx2_4x24": ("haswell", {"vfmadd231ps": 48}),
    "fp32_float32_avx512_8x48": ("skylake-avx512", {"vfmadd231ps": 96}),
    "bf16_float32_avx512bf16_8x48": ("znver4", {"vdpbf16ps": 48, "prefetchw": 3}),
    "bf16_float32_amx_32x32": ("sapphirerapids", {"tdpbf16ps": 4, "tileloadd": 4, "prefetchw": 1}),
    "fp16_float32_amxfp16_32x32": ("graniterapids", {"tdpfp16ps": 4, "tileloadd": 4}),
    "fp16_float16_avx512fp16_8x96": ("sapphirerapids", {"vfmadd231ph": 96, "vbroadcastss": 32}),
    "int8_int32_avx2_6x16": ("haswell", {"vpmaddwd": 24, "vpaddd": 24}),
    "int8_int32_avx512_8x48": ("skylake-avx512", {"vpmaddwd": 48, "vpaddd": 48}),
    "int8_int32_avxvnni_6x16": ("alderlake", {"vpdpbusd": 24}),
    "int8_int32_avx512vnni_8x48": ("cascadelake", {"vpdpbusd": 48}),
    "int8_int32_amx_32x32": ("sapphirerapids", {"tdpbssd": 4, "tileloadd": 4, "prefetchw": 1}),
}


def inner_loop(text: str) -> str:
    """The body of the loop in `micro`: from a label to the jump back to it."""
    micro = text[text.index("micro:") : text.index(".Lfunc_end", text.index("micro:"))]
    return re.search(r"(\.LBB\d+_\d+):(?:(?!\.LBB\d+_\d+:).)*?\tj\w+\s+\1\n", micro, re.DOTALL).group(0)


@pytest.mark.skipif(not codegen.can_target("x86_64"), reason="this llvmlite makes no code for x86-64")
@pytest.mark.parametrize("label", INNER_LOOP)
def test_the_inner_loop_is_the_instructions_it_is_meant_to_be_and_spills_nothing(label):
    row = next(row for row in microkernels.TABLE if row.label == label)
    cpu, expected = INNER_LOOP[label]
    body = inner_loop(codegen.assembly(row.module(), "x86_64-unknown-linux-gnu", cpu))
    seen = {name: len(re.findall(rf"\b{name}\b", body)) for name in expected}
    assert seen == expected
    assert "rsp" not in body and "rbp" not in body, "registers were spilled to the stack"


@pytest.mark.skipif(not codegen.can_target("x86_64"), reason="this llvmlite makes no code for x86-64")
@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_int8_without_vnni_means_it_on_a_processor_that_has_vnni(isa):
    row = next(row for row in microkernels.TABLE if row.precision == "int8" and row.isa == isa)
    text = codegen.assembly(row.module(), "x86_64-unknown-linux-gnu", "sapphirerapids", isa)
    assert "vpmaddwd" in text and "vpdpwssd" not in text


@pytest.mark.skipif(not codegen.can_target("aarch64"), reason="this llvmlite makes no code for AArch64")
def test_the_generic_row_becomes_neon_fmas():
    row = microkernels.least("fp64", "float64")
    text = codegen.assembly(row.module(), "aarch64-unknown-linux-gnu", "neoverse-n1")
    micro = text[text.index("micro:") : text.index(".Lfunc_end", text.index("micro:"))]
    assert len(re.findall(r"\tfmla\s+v\d+\.2d", micro)) == 48


def test_every_special_row_has_its_inner_loop_checked():
    assert {row.label for row in SPECIAL} <= set(INNER_LOOP)


def test_tile_shapes_are_those_of_the_manual():
    shape = micro_tiles.configuration()
    assert len(shape) == 64 and shape[0] == 1 and shape[1] == 0
    assert shape[16:32] == bytes([64, 0] * 8), "bytes a row"
    assert shape[48:56] == bytes([16] * 8), "rows"
    assert not any(shape[2:16] + shape[32:48] + shape[56:])
