"""Every micro-kernel and every ceiling loop that this processor can execute, executed. Not a test: it is for processors that are at hand
only as a model in an emulator, where a product of 200 x 200 takes a second and the start of a process a minute.

    python tests/experiments/gemm/instruction_sets.py                        everything
    python tests/experiments/gemm/instruction_sets.py products --only amx    one part, for one instruction set

    refused    AMX in a process that the kernel refuses it to: its stack for signals is too small for tiles (and then permits it)
    host       the instruction sets that are detected, and why not the others; as what processor LLVM sees this one
    products   each row of the table of micro-kernels, in shapes with edges, layouts and both beta: exact for INT8, else within the
               error bound of tests/gemm/layout_cases.py; the extremes of s8; every pattern of FP16
    command    `flopbench gemm --isa X`, with its verification
    ceilings   each loop, and its value; then `flopbench info --measure`

The last line is PASSED or FAILED, and so is the exit code. Rates in an emulator say nothing, and ceilings are measured for moments only:
one product of tiles takes it half a millisecond.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
from flopbench_kernels.ceiling_llvm import amx
from flopbench_kernels.gemm_numba import isa, microkernels
from flopbench_kernels.gemm_numba.blocking import Blocking
from flopbench_kernels.gemm_numba.microkernels import MicroKernel
from flopbench_kernels.gemm_numba.multiply import Product

from flopbench import ceiling, cli
from flopbench.machine.detect import detect

sys.path.append(str(Path(__file__).resolve().parents[2] / "gemm"))
from layout_cases import Case

MACHINE = detect()
START = time.perf_counter()
COMMAND_N = 200
CEILING_ITERATIONS = 20
CEILING_S = 1e-5
LAYOUTS = ("rows", "columns", "padded", "sparse", "reversed")
#: Bytes of a stack for signals that holds no tiles: 8 KiB of them alone (Linux Documentation/arch/x86/xstate.rst).
SMALL_STACK = 8192


def say(text: str) -> None:
    print(f"[{time.perf_counter() - START:.1f} s] {text}", flush=True)


def host(only: str | None) -> None:
    say(f"LLVM sees {llvm.get_host_cpu_name()}")
    for name in isa.NEEDS:
        say(f"{name}: {isa.why_not(name, MACHINE) or 'yes'}")


def refused(only: str | None) -> None:
    class Stack(ctypes.Structure):
        _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    if "amx_tile" not in MACHINE.cpu.isa:
        return say("no AMX")
    memory = ctypes.create_string_buffer(SMALL_STACK)
    small, before = Stack(ctypes.addressof(memory), 0, SMALL_STACK), Stack()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.sigaltstack(ctypes.byref(small), ctypes.byref(before)) == 0, ctypes.get_errno()
    try:
        reason = isa.why_not("amx", MACHINE)
        row = microkernels.choose("int8", "int32", isa.supported(MACHINE), None)
        loops = [loop.why_not(MACHINE) for loop in ceiling.installed_loops() if loop.name.startswith("amx")]
    finally:
        libc.sigaltstack(ctypes.byref(before), None)
        isa.tile_permission.cache_clear()
        amx.permission.cache_clear()
    say(f"{reason}; INT8 by {row.isa}; ceilings: {'; '.join(map(str, loops))}")
    assert reason and "refuses" in reason and not row.isa.startswith("amx") and all(loops)


def cases(row: MicroKernel) -> Iterator[Case]:
    """Shapes around the tile, the granule and the blocks; every layout of every operand; beta 0 and 1; one thread and two."""
    m, n, k = row.m_r, row.n_r, row.granule
    shapes = [(1, 1, 1), (3, 5, 7), (m, n, k), (m + 1, n - 1, k + 1), (2 * m + 1, 2 * n + 1, 3 * k + 1), (67, 71, 131)]
    shapes += [(m - 1, 3 * n, 5 * k - 1), (200, 200, 200)]
    for index, (shape, beta) in enumerate(itertools.product(shapes, (0, 1))):
        yield Case(row, *shape, blocks=(2, 1, 1 + index % 3), threads=1 + index % 2, beta=beta, seed=index)
    for index, layouts in enumerate([*itertools.product(LAYOUTS[:2], repeat=3), *((x, x, x) for x in LAYOUTS[2:])]):
        yield Case(row, m + 5, 2 * n + 3, 2 * k + 3, layouts, (1, 1, 2), beta=index % 2, seed=index)


def product(row: MicroKernel, block: Blocking, a: np.ndarray, b: np.ndarray, result: str) -> np.ndarray:
    c = np.empty((a.shape[0], b.shape[1]), dtype=result)
    made = Product(row, block, a, b, c)
    made.run()
    made.close()
    return c


def special(row: MicroKernel) -> str:
    """Values that saturate, round or vanish if an instruction is not what we take it for."""
    if row.precision == "int8":
        for x, y in ((-128, -128), (-128, 127), (127, 127), (-128, 0)):
            a, b = np.full((row.m_r, 1000), x, np.int8), np.full((1000, row.n_r), y, np.int8)
            c = product(row, Blocking(row.m_r, row.n_r, 64 * row.granule), a, b, "int32")
            assert (c == 1000 * x * y).all(), (x, y, c)
        return "extremes of s8"
    if row.precision == "fp16":
        a = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(-1, 1)
        block = Blocking(40 * row.m_r, row.n_r, row.granule)
        c = product(row, block, a, np.ones((1, 1), np.float16), "float32")
        assert np.array_equal(c, a.astype(np.float32), equal_nan=True), np.flatnonzero(c != a.astype(np.float32))
        return "every pattern of FP16"
    return "no special values"


def products(only: str | None) -> None:
    supported = isa.supported(MACHINE)
    for row in microkernels.TABLE:
        if row.isa not in supported or only not in (None, row.isa):
            continue
        microkernels.compiled(row)
        say(f"{row.label}: compiled")
        done = [case.compute() for case in cases(row)]
        say(f"{row.label}: {len(done)} products and {special(row)} right")


def command(only: str | None) -> None:
    for name in isa.NEEDS:
        if isa.why_not(name, MACHINE) is None and only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                what = f"gemm --backend numba --isa {name} --n {COMMAND_N} --repeat 1 --output {folder}"
                code = cli.run(what.split())
            say(f"flopbench {what}: exit code {code}")
            assert code == 0


def ceilings(only: str | None) -> None:
    for loop in ceiling.installed_loops():
        reason = loop.why_not(MACHINE)
        if loop.stand_in or only not in (None, loop.name):
            continue
        if reason is None:
            loop.prepare()
            value = loop.run(CEILING_ITERATIONS)
            assert np.isfinite(value) and value == loop.run(CEILING_ITERATIONS), value
            reason = f"runs, {value}; {loop.method}"
        say(f"{loop.precision} {reason}")
    assert only or cli.run(["info", "--measure"]) == 0


PARTS: dict[str, Callable[[str | None], None]] = {f.__name__: f for f in (refused, host, products, command, ceilings)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=" ".join(PARTS))
    parser.add_argument("--only", help="an instruction set, or a ceiling loop")
    args = parser.parse_args()
    ceiling._REPEAT_S = ceiling._REPEAT_S_PER_THREAD = CEILING_S
    ceiling._FIRST_ITERATIONS = CEILING_ITERATIONS
    wrong = []
    for name in args.parts or PARTS:
        say(f"== {name}")
        try:
            PARTS[name](args.only)
        except Exception:
            traceback.print_exc()
            wrong.append(name)
    say(f"FAILED: {', '.join(wrong)}" if wrong else "PASSED")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
