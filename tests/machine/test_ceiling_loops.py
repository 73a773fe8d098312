"""The ceiling loops: LLVM makes the instruction that each claims, for processors at hand or not; and their results are right."""

import re
import struct

import numpy as np
import pytest
from flopbench_kernels.ceiling_llvm import amx, jit, loops
from flopbench_kernels.ceiling_llvm.steps import BF16_CONSTANTS, FLOAT_CONSTANTS, INT8_CONSTANTS
from flopbench_kernels.ceiling_llvm.text import STEPS

from flopbench.errors import NotPossible
from flopbench.machine.detect import detect
from flopbench.precision import PRECISIONS

X86, ARM, POWER = (f"{name}-unknown-linux-gnu" for name in ("x86_64", "aarch64", "powerpc64le"))
LOOPS = {(loop.name, loop.precision): loop for loop in loops() if not loop.stand_in}

#: loop -> a processor that has it, and the mnemonic with its register that must stand in the loop.
CLAIMS = {
    ("amx_int8", "int8"): (X86, "sapphirerapids", "tdpbssd"),
    ("amx_bf16", "bf16"): (X86, "sapphirerapids", "tdpbf16ps"),
    ("amx_fp16", "fp16"): (X86, "graniterapids", "tdpfp16ps"),
    ("avx512", "fp64"): (X86, "skylake-avx512", r"vfmadd\d+pd .*%zmm"),
    ("avx512", "fp32"): (X86, "znver4", r"vfmadd\d+ps .*%zmm"),
    ("avx512", "fp16"): (X86, "sapphirerapids", r"vfmadd\d+ph .*%zmm"),
    ("avx2", "fp64"): (X86, "haswell", r"vfmadd\d+pd .*%ymm"),
    ("avx2", "fp32"): (X86, "znver3", r"vfmadd\d+ps .*%ymm"),
    ("avx", "fp64"): (X86, "sandybridge", r"vmulpd .*%ymm"),
    ("avx", "fp32"): (X86, "bdver1", r"vfmaddps .*%ymm"),
    ("generic", "fp64"): (X86, "nehalem", r"mulpd .*%xmm"),
    ("generic", "fp32"): (X86, "nehalem", r"mulps .*%xmm"),
    ("neon", "fp64"): (ARM, "neoverse-n1", r"fml[as] v\d+\.2d, v\d+\.2d, v\d+\.2d"),
    ("neon", "fp32"): (ARM, "cortex-a72", r"fml[as] v\d+\.4s, v\d+\.4s, v\d+\.4s"),
    ("neon", "fp16"): (ARM, "neoverse-n1", r"fml[as] v\d+\.8h, v\d+\.8h, v\d+\.8h"),
    ("sve", "fp64"): (ARM, "a64fx", r"fm(la|ad) z\d+\.d"),
    ("sve", "fp32"): (ARM, "neoverse-v1", r"fm(la|ad) z\d+\.s"),
    ("sve", "fp16"): (ARM, "a64fx", r"fm(la|ad) z\d+\.h"),
    ("vsx", "fp64"): (POWER, "pwr9", r"xv(madd|nmsub)adp"),
    ("vsx", "fp32"): (POWER, "pwr8", r"xv(madd|nmsub)asp"),
    ("avx512_vnni", "int8"): (X86, "cascadelake", r"vpdpbusd .*%zmm"),
    ("avx_vnni", "int8"): (X86, "alderlake", r"vpdpbusd .*%ymm"),
    ("avx512bw_u8", "int8"): (X86, "skylake-avx512", r"vpmaddubsw .*%zmm"),
    ("avx512bw", "int8"): (X86, "skylake-avx512", r"vpmaddwd .*%zmm"),
    ("avx2_u8", "int8"): (X86, "znver3", r"vpmaddubsw .*%ymm"),
    ("avx2", "int8"): (X86, "haswell", r"vpmaddwd .*%ymm"),
    ("sse2", "int8"): (X86, "nehalem", r"pmaddwd .*%xmm"),
    ("sve_i8mm", "int8"): (ARM, "neoverse-v1", r"smmla z"),
    ("neon_i8mm", "int8"): (ARM, "neoverse-v2", r"smmla v"),
    ("sve", "int8"): (ARM, "a64fx", r"sdot z"),
    ("neon_dotprod", "int8"): (ARM, "neoverse-n1", r"sdot v"),
    ("generic", "int8"): (POWER, "pwr9", r"vmuluwm"),
    ("avx512_bf16", "bf16"): (X86, "cooperlake", r"vdpbf16ps .*%zmm"),
    ("neon_bf16", "bf16"): (ARM, "neoverse-v1", r"bfmmla v"),
}


def _chains(loop) -> int:
    return loop.chains if hasattr(loop, "chains") else 4


def _loop_body(assembly: str) -> list[str]:
    """The instructions between the loop's label and the conditional jump back to it."""
    lines = [" ".join(line.split()) for line in assembly.splitlines()]
    back = next(i for i, line in enumerate(lines) if re.match(r"(jl|jg|jne|b\.\w+|bc|blt|bdnz|bge|bgt)\s", line))
    label = lines[back].split()[-1].split(",")[-1]
    return lines[lines.index(next(line for line in lines if line.startswith(f"{label}:"))) + 1 : back]


def test_every_loop_has_its_claim_in_this_table():
    assert set(CLAIMS) == set(LOOPS)


@pytest.mark.parametrize("key", CLAIMS, ids="-".join)
def test_the_assembly_holds_the_claimed_instruction_once_for_each_step_of_each_chain(key):
    triple, cpu, pattern = CLAIMS[key]
    loop = LOOPS[key]
    assembly = jit.assembly_for(loop.text, triple, cpu)
    body = _loop_body(assembly)
    claimed = [line for line in body if re.search(pattern, line)]
    assert len(claimed) == _chains(loop) * STEPS
    assert loop.check(assembly) >= len(claimed)


@pytest.mark.parametrize("key", CLAIMS, ids="-".join)
def test_the_loop_touches_no_memory(key):
    """Operands stay in registers: no load, no store, no spill between the label and the jump."""
    triple, cpu, _ = CLAIMS[key]
    body = _loop_body(jit.assembly_for(LOOPS[key].text, triple, cpu))
    assert len(body) > STEPS
    memory = r"\(%|\[|^(ld|st|l[vxw]|st[vxw])\w*\s" if triple != POWER else r"^(l|st)x?v\w*\s|^ld|^std"
    assert [line for line in body if re.search(memory, line)] == []


@pytest.mark.parametrize(
    ("key", "others"), [(key, 6) for key in CLAIMS if key[1].startswith("fp") and key[0] not in ("avx", "generic")]
)
def test_nothing_but_the_instruction_and_the_counting_stands_in_the_loop(key, others):
    """A copy for each step would take issue slots from the arithmetic."""
    triple, cpu, _ = CLAIMS[key]
    body = _loop_body(jit.assembly_for(LOOPS[key].text, triple, cpu))
    assert len(body) <= _chains(LOOPS[key]) * STEPS + others


def test_a_loop_that_llvm_compiled_to_something_else_is_refused():
    """Mutation: on a processor without FMA the fused loop becomes calls, and says so instead of measuring them."""
    loop = LOOPS["avx2", "fp64"]
    with pytest.raises(NotPossible, match="would not measure"):
        loop.check(jit.assembly_for(loop.text, X86, "sandybridge"))


def test_a_precision_without_arithmetic_of_its_own_is_stood_in_for_by_fp32():
    stand_ins = [loop for loop in loops() if loop.stand_in]
    assert {loop.precision for loop in stand_ins} == {"fp16", "bf16"}
    assert {loop.text for loop in stand_ins} == {loop.text for (_, p), loop in LOOPS.items() if p == "fp32"}


@pytest.fixture(scope="module")
def here():
    return detect()


def _runnable(machine):
    return [loop for loop in LOOPS.values() if loop.why_not(machine) is None]


def test_every_precision_that_a_cpu_computes_has_a_loop_that_runs_here(here):
    own = {loop.precision for loop in _runnable(here)}
    with_stand_ins = own | {loop.precision for loop in loops() if loop.why_not(here) is None}
    assert {"fp64", "fp32", "int8"} <= own
    assert with_stand_ins == set(PRECISIONS) - {"tf32", "fp8"}  # no processor's


def test_floating_point_loops_end_where_the_recurrence_does(here):
    """x -> x a + c -> x b + c settles at (b c + c) / (1 - a b), whatever it starts from; the value is the sum over all elements."""
    a, b, c = FLOAT_CONSTANTS
    fixed = (b * c + c) / (
        1 - a * b
    )  # where the addend is c; where it is the chain itself, each second step undoes the first
    floats = [loop for loop in _runnable(here) if loop.arithmetic.chain.element in ("double", "float")]
    floats = [loop for loop in floats if loop.precision in ("fp64", "fp32")]
    assert floats
    for loop in floats:
        loop.prepare()
        elements = loop.operations // (2 * STEPS)
        start = elements * (1 + (loop.chains - 1) / 16)
        fused = "c" in loop.arithmetic.constants
        assert loop.run(200) == pytest.approx(elements * fixed if fused else start, rel=1e-5)
        assert not fused or loop.run(1) != pytest.approx(loop.run(200), rel=1e-5)


def _int32(values):
    return np.asarray(values).astype(np.uint64).astype(np.uint32).view(np.int32)


def _pairs(x, operand):
    products = x.view(np.int16).astype(np.int64) * operand.view(np.int16).astype(np.int64)
    return _int32(x.astype(np.int64) + products.reshape(-1, 2).sum(axis=1))


def _quads(x, operand):
    products = x.view(np.uint8).astype(np.int64) * operand.view(np.int8).astype(np.int64)
    halves = np.clip(products.reshape(-1, 2).sum(axis=1), -(2**15), 2**15 - 1)
    return _int32(x.astype(np.int64) + halves.reshape(-1, 2).sum(axis=1))


def _dots(x, operands):
    left, right = (o.view(kind).astype(np.int64) for o, kind in zip(operands, (np.uint8, np.int8), strict=True))
    return _int32(x.astype(np.int64) + (left * right).reshape(-1, 4).sum(axis=1))


def _generic(x, operand):
    return _int32(x.astype(np.int64) * operand.astype(np.int64) + INT8_CONSTANTS[2])


@pytest.mark.parametrize(
    "name", ["sse2", "avx2", "avx2_u8", "avx512bw", "avx512bw_u8", "avx_vnni", "avx512_vnni", "generic"]
)
def test_integer_loops_agree_with_numpy_bit_for_bit(here, name):
    """Three iterations, all chains, against the same steps in NumPy: so the loop does what its count of operations says."""
    loop = LOOPS[name, "int8"]
    missing = [flag for flag in loop.flags if flag not in here.cpu.isa]
    if missing:
        pytest.skip(f"this processor has no {', '.join(missing)}")
    lanes = loop.arithmetic.chain.count
    constants = [np.full(lanes, value, np.int32) for value in INT8_CONSTANTS[:2]]
    total = np.zeros(lanes, np.int64)
    for k in range(loop.chains):
        x = np.full(lanes, k + 1, np.int32)
        for j in range(3 * STEPS):
            if "vnni" in name:
                x = _dots(x, (constants[0], constants[1]) if j % 2 else (constants[1], constants[0]))
            else:
                step = _quads if "u8" in name else _generic if name == "generic" else _pairs
                x = step(x, constants[j % 2])
        total += x
    expected = int(_int32(np.array([int(total.sum()) & 0xFFFFFFFF]))[0])
    try:
        loop.prepare()
    except NotPossible as reason:
        # LLVM makes VNNI's instruction of the two where the processor has it; then the loop must be one that is not measured here
        assert loop.why_not(here) is not None, reason
        pytest.skip(str(reason))
    assert loop.run(3) == expected


def test_bfloat16_operands_nearly_cancel_so_that_sums_stay_small():
    pairs = [struct.unpack("<2f", struct.pack("<2I", (v & 0xFFFF) << 16, v >> 16 << 16)) for v in BF16_CONSTANTS[:2]]
    assert abs(sum(a * b for a, b in zip(*pairs, strict=True))) < 0.01
    assert all(0.5 < abs(value) < 1 for pair in pairs for value in pair)


@pytest.mark.parametrize(
    ("name", "precision", "operations"),
    [
        ("avx512", "fp64", 16), ("avx512", "fp16", 64), ("avx2", "fp64", 8), ("avx2", "fp32", 16), ("neon", "fp64", 4),
        ("sve", "fp64", 4), ("vsx", "fp64", 4), ("avx512_vnni", "int8", 128), ("avx_vnni", "int8", 64), ("avx512bw", "int8", 64),
        ("avx512bw_u8", "int8", 128), ("avx2", "int8", 32), ("avx2_u8", "int8", 64), ("neon_i8mm", "int8", 64),
        ("neon_dotprod", "int8", 32), ("avx512_bf16", "bf16", 64), ("neon_bf16", "bf16", 32), ("generic", "int8", 8),
    ],
)  # fmt: skip
def test_a_step_counts_what_its_instruction_computes(name, precision, operations):
    """Multiplications and additions of one instruction (with its addition, where that is another), by the vendors' manuals."""
    assert LOOPS[name, precision].arithmetic.operations == operations


@pytest.mark.parametrize(("name", "precision", "each"), [("amx_int8", "int8", 32768), ("amx_bf16", "bf16", 16384)])
def test_a_tile_instruction_multiplies_16_by_16_by_a_row(name, precision, each):
    assert LOOPS[name, precision].operations == each * 16


def test_amx_tells_which_flag_or_which_permission_is_missing(here, monkeypatch):
    loop = LOOPS["amx_int8", "int8"]
    assert "no amx_tile" in loop.why_not(_with_isa(here, []))
    monkeypatch.setattr(amx, "permission", lambda: "the kernel does not permit AMX tiles: Operation not permitted")
    assert "does not permit" in loop.why_not(_with_isa(here, ["amx_tile", "amx_int8"]))
    with pytest.raises(NotPossible, match="does not permit"):
        loop.prepare()


def _with_isa(machine, isa):
    import msgspec

    return msgspec.structs.replace(machine, cpu=msgspec.structs.replace(machine.cpu, isa=isa))


def test_the_tile_workspace_is_aligned_and_configures_eight_full_tiles():
    memory = amx.workspace("bf16")
    assert memory.ctypes.data % 64 == 0 and memory.size == 64 + 8 * 1024
    assert memory[0] == 1 and list(memory[16:32].view(np.uint16)) == [64] * 8 and list(memory[48:56]) == [16] * 8
    values = (memory[64 : 64 + 4096].view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    assert np.isfinite(values).all() and np.abs(values).max() < 10
