"""Ceiling loops on Intel's matrix tiles (AMX): four accumulator tiles, two tiles for each operand, all eight in use.

Sources: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1 chapter 18 (AMX: tile configuration, palette 1) and
volume 2 (TDPBSSD, TDPBF16PS, TDPFP16PS); Linux, Documentation/arch/x86/xstate.rst (the permission).
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache
from typing import Any

import numpy as np

from flopbench.errors import NotPossible
from flopbench.kernel_api import CeilingLoop
from flopbench_kernels.ceiling_llvm import jit

_SYS_ARCH_PRCTL = 158  # x86_64: Linux, arch/x86/entry/syscalls/syscall_64.tbl
_ARCH_REQ_XCOMP_PERM = 0x1023  # Linux, arch/x86/include/uapi/asm/prctl.h
_XFEATURE_XTILEDATA = 18

_ROWS, _ROW_BYTES = 16, 64
_TILE_BYTES = _ROWS * _ROW_BYTES
_STEPS = 4  # rounds over the four accumulators in one iteration


@cache
def permission() -> str | None:
    """Ask Linux to let this process use tiles (once for all of its threads). None if it does, else why not."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "AMX needs Linux on x86_64"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_SYS_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA) == 0:
        return None
    return f"the kernel does not permit AMX tiles: arch_prctl says {os.strerror(ctypes.get_errno())}"


class AmxLoop(CeilingLoop):
    """tmm0-3 += tmm4, tmm5 x tmm6, tmm7. One instruction multiplies 16 rows of 64 bytes by 16 columns of 64 bytes."""

    def __init__(self, name: str, precision: str, flags: tuple[str, ...], instruction: str, operand_bytes: int) -> None:
        self.name, self.precision = name, precision
        self.flags, self.instruction, self.operand_bytes = flags, instruction, operand_bytes
        self._compiled: jit.Compiled | None = None

    def why_not(self, machine: Any) -> str | None:
        missing = [flag for flag in self.flags if flag not in machine.cpu.isa]
        if missing:
            return f"{self.name}: the processor has no {', '.join(missing)}"
        refused = permission()
        return f"{self.name}: {refused}" if refused else None

    def prepare(self) -> None:
        if refused := permission():
            raise NotPossible(f"{self.name}: {refused}")
        if self._compiled is None:
            compiled = jit.Compiled(self.text)
            self.check(compiled.assembly)
            self._compiled = compiled

    def check(self, assembly: str) -> int:
        """How often the instruction stands in the loop. Raises NotPossible if that is not once a step and accumulator."""
        count = sum(line.split()[:1] == [self.instruction] for line in assembly.splitlines())
        if count != 4 * _STEPS:
            raise NotPossible(f"{self.name}: LLVM {jit.version()} made {count} of {4 * _STEPS} {self.instruction}")
        return count

    @property
    def operations(self) -> int:
        """16 x 16 results, each a dot product over the operands in a row of 64 bytes; a multiplication and an addition each."""
        return 2 * _ROWS * 16 * (_ROW_BYTES // self.operand_bytes) * 4 * _STEPS

    @property
    def method(self) -> str:
        return f"{self.name}: `{self.instruction}` on 4 accumulator tiles, operands in tiles"

    def run(self, iterations: int) -> float:
        assert self._compiled is not None, "prepare comes first"
        memory = workspace(self.precision)
        self._compiled.loop(iterations, float(memory.ctypes.data), 0.0, 0.0)
        results = memory[64 + 4 * _TILE_BYTES :].view(np.int32 if self.precision == "int8" else np.float32)
        return float(results.astype(np.float64).sum())

    @property
    def text(self) -> str:
        """The LLVM text: configure, load operands, clear accumulators, loop, store, release. The argument `a` is the workspace's address.

        A double holds every address of today's processors exactly (at most 2^52), and all loops can then be called alike.
        """
        loads = "\n".join(
            f"  call void @llvm.x86.tileloadd64(i8 {4 + t}, ptr %t{t}, i64 {_ROW_BYTES})" for t in range(4)
        )
        places = "\n".join(
            f"  %t{t} = getelementptr i8, ptr %p, i64 {64 + t * _TILE_BYTES}" for t in range(8)
        )  # four operands, four results
        body = "\n".join(
            f"  call void @llvm.x86.{self.instruction}(i8 {2 * row + column}, i8 {4 + row}, i8 {6 + column})"
            for _ in range(_STEPS)
            for row in range(2)
            for column in range(2)
        )
        return f"""define double @loop(i64 %iterations, double %a, double %b, double %c) {{
entry:
  %address = fptosi double %a to i64
  %p = inttoptr i64 %address to ptr
{places}
  call void @llvm.x86.ldtilecfg(ptr %p)
{loads}
{_four("  call void @llvm.x86.tilezero(i8 {t})")}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{body}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %iterations
  br i1 %more, label %loop, label %done
done:
{_four("  call void @llvm.x86.tilestored64(i8 {t}, ptr %t{s}, i64 64)")}
  call void @llvm.x86.tilerelease()
  ret double 0.0
}}
declare void @llvm.x86.ldtilecfg(ptr)
declare void @llvm.x86.tilerelease()
declare void @llvm.x86.tilezero(i8)
declare void @llvm.x86.tileloadd64(i8, ptr, i64)
declare void @llvm.x86.tilestored64(i8, ptr, i64)
declare void @llvm.x86.{self.instruction}(i8, i8, i8)
"""


def _four(template: str) -> str:
    return "\n".join(template.format(t=t, s=t + 4) for t in range(4))


def workspace(precision: str) -> np.ndarray:
    """64-byte aligned bytes: tile configuration, four operand tiles of random signs and sizes, four result tiles."""
    size = 64 + 8 * _TILE_BYTES
    raw = np.zeros(size + 64, np.uint8)
    memory = raw[-raw.ctypes.data % 64 :][:size]
    memory[0] = 1  # palette 1
    memory[16:32].view(np.uint16)[:] = _ROW_BYTES  # bytes a row of each tile
    memory[48:56] = _ROWS
    generator = np.random.default_rng(1)
    operands = memory[64 : 64 + 4 * _TILE_BYTES]
    if precision == "int8":
        operands[:] = generator.integers(0, 256, operands.size, np.uint8)
    elif precision == "bf16":  # the upper half of an FP32
        values = generator.standard_normal(operands.size // 2).astype(np.float32)
        operands.view(np.uint16)[:] = values.view(np.uint32) >> 16
    else:
        operands.view(np.float16)[:] = generator.standard_normal(operands.size // 2)
    return memory


def amx_loops() -> list[AmxLoop]:
    """INT8 and BF16 since Sapphire Rapids, FP16 since Granite Rapids; products are summed in INT32 or FP32."""
    return [
        AmxLoop("amx_int8", "int8", ("amx_tile", "amx_int8"), "tdpbssd", 1),
        AmxLoop("amx_bf16", "bf16", ("amx_tile", "amx_bf16"), "tdpbf16ps", 2),
        AmxLoop("amx_fp16", "fp16", ("amx_tile", "amx_fp16"), "tdpfp16ps", 2),
    ]
