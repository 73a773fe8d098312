"""Our CUDA kernels through the host's C++ compiler: the same source, each thread of each block in turn.

Blocks run one after the other: right for kernels in which no block waits for another, and then any order gives the same bits. In a source
with barriers (__syncthreads) the threads of a block are coroutines, each of which runs to the next barrier, now the first thread first, now
the last, so that a missing barrier shows; a barrier that not all threads reach is an error. In a source whose blocks wait for each other
(by atomics), each block is a thread of the processor. Products and sums are not contracted on either side (-ffp-contract=off here,
--fmad=false there).
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from flopbench.errors import NotPossible

_SHIM = """
#define __global__
#define __device__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static thread_local
struct Index3 { unsigned x, y, z; };
static thread_local Index3 blockIdx, threadIdx, blockDim, gridDim;
void __syncthreads();
void __nanosleep(unsigned);
static inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline unsigned atomicAdd(unsigned* at, unsigned more) { return __atomic_fetch_add(at, more, __ATOMIC_SEQ_CST); }
double __ldcg(const double*);
"""

# A block's threads, one after the other.
_PLAIN_BLOCK = """
static bool run_block(unsigned threads, void (*body)(void**), void** args) {
    for (unsigned t = 0; t < threads; ++t) { threadIdx = {t, 0, 0}; body(args); }
    return true;
}
"""
# As coroutines, in turn from barrier to barrier. False: some threads wait at a barrier that others do not reach.
_BLOCK_WITH_BARRIERS = """
#include <atomic>
#include <memory>
#include <sched.h>
#include <setjmp.h>
#include <ucontext.h>
#include <vector>
enum State { READY, WAITING, DONE };
struct Coroutine { ucontext_t context; jmp_buf here; std::unique_ptr<char[]> stack; State state; };
static thread_local std::vector<Coroutine> coroutines;
static thread_local jmp_buf scheduler;
static thread_local void (*body_of_all)(void**);
static thread_local void** args_of_all;
static std::atomic<unsigned> launches;
// Jumps between stacks, since swapcontext asks the operating system each time.
static void __attribute__((noinline)) yield() { if (_setjmp(coroutines[threadIdx.x].here) == 0) _longjmp(scheduler, 1); }
static void __attribute__((noinline)) resume(unsigned t) { if (_setjmp(scheduler) == 0) _longjmp(coroutines[t].here, 1); }
static void enter() {
    for (yield();; yield()) {
        body_of_all(args_of_all);
        coroutines[threadIdx.x].state = DONE;
    }
}
void __syncthreads() { coroutines[threadIdx.x].state = WAITING; yield(); }
void __nanosleep(unsigned) { sched_yield(); yield(); }
static void __attribute__((noinline)) begin(unsigned t) {
    const unsigned long stack_bytes = 32 << 10;
    Coroutine& one = coroutines[t];
    one.stack.reset(new char[stack_bytes]);
    getcontext(&one.context);
    one.context.uc_stack.ss_sp = one.stack.get();
    one.context.uc_stack.ss_size = stack_bytes;
    makecontext(&one.context, enter, 0);
    threadIdx = {t, 0, 0};
    if (_setjmp(scheduler) == 0) setcontext(&one.context);
}
static bool run_block(unsigned threads, void (*body)(void**), void** args) {
    body_of_all = body;
    args_of_all = args;
    if (coroutines.size() < threads) {
        coroutines.clear();
        coroutines.resize(threads);
        for (unsigned t = 0; t < threads; ++t) begin(t);
    }
    for (unsigned t = 0; t < threads; ++t) coroutines[t].state = READY;
    for (unsigned turn = (blockIdx.x + launches++) * 2654435761u;; turn = turn * 1664525u + 1013904223u) {
        unsigned waiting = 0, done = 0;
        for (unsigned i = 0; i < threads; ++i) {
            const unsigned t = turn >> 31 ? i : threads - 1 - i;
            if (coroutines[t].state == READY) {
                threadIdx = {t, 0, 0};
                resume(t);
            }
            waiting += coroutines[t].state == WAITING;
            done += coroutines[t].state == DONE;
        }
        if (done == threads) return true;
        if (waiting + done < threads) continue;
        if (done > 0) {
            coroutines.clear();  // some of them stand in the middle of this kernel
            return false;
        }
        for (unsigned t = 0; t < threads; ++t) coroutines[t].state = READY;
    }
}
"""
_BLOCKS_IN_TURN = """
double __ldcg(const double* at) { return *at; }
typedef void (*Body)(void**);
static bool run_grid(const unsigned* grid, const unsigned* block, Body body, void** args) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    bool good = true;
    for (unsigned y = 0; y < grid[1]; ++y)
        for (unsigned x = 0; x < grid[0]; ++x) {
            blockIdx = {x, y, 0};
            good &= run_block(block[0], body, args);
        }
    return good;
}
"""
# What a block reads of another's, by __ldcg, it now and then reads late: then nobody may have written the next thing there.
_BLOCKS_TOGETHER = """
#include <thread>
#include <unistd.h>
double __ldcg(const double* at) {
    static thread_local unsigned luck = blockIdx.x + launches;
    luck = luck * 1664525u + 1013904223u;
    if (luck >> 28 == 0) usleep(200);
    return *(volatile const double*)at;
}
typedef void (*Body)(void**);
static bool run_grid(const unsigned* grid, const unsigned* block, Body body, void** args) {
    std::vector<std::thread> blocks;
    std::vector<char> good(grid[0]);
    for (unsigned x = 0; x < grid[0]; ++x)
        blocks.emplace_back([=, &good] {
            gridDim = {grid[0], 1, 1};
            blockDim = {block[0], 1, 1};
            blockIdx = {x, 0, 0};
            good[x] = run_block(block[0], body, args);
        });
    for (std::thread& one : blocks) one.join();
    for (char one : good) if (!one) return false;
    return true;
}
"""

_DRIVER = """
static void body_{name}(void** args) {{ {name}({arguments}); }}
extern "C" bool drive_{name}(const unsigned* grid, const unsigned* block, void** args) {{
    return run_grid(grid, block, body_{name}, args);
}}
"""

_SIGNATURE = re.compile(r'extern "C" void\s+(\w+)\(([^)]*)\)\s*\{')


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: its C type, and the NumPy scalar that must be passed for it."""

    name: str
    c_type: str

    @property
    def scalar(self) -> np.dtype:
        plain = self.c_type.replace("const ", "").strip()
        if plain.endswith("*"):
            return np.dtype("uint64")
        return np.dtype(
            {"i64": "int64", "long long": "int64", "u64": "uint64", "int": "int32", "double": "float64"}[plain]
        )


@dataclass(frozen=True)
class HostKernel:
    """A kernel compiled for the host."""

    name: str
    parameters: tuple[Parameter, ...]
    function: ctypes._CFuncPtr  # type: ignore[name-defined]

    def run(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple) -> None:
        """All threads, one after the other. Raises TypeError if an argument is not of exactly its parameter's size and kind."""
        self.check(args)
        cells = [np.array(value) for value in args]
        pointers = (ctypes.c_void_p * len(cells))(*[cell.ctypes.data for cell in cells])
        shape = [(ctypes.c_uint * 3)(*((*size, 1, 1)[:3])) for size in (grid, block)]
        if not self.function(shape[0], shape[1], pointers):
            raise AssertionError(
                f"{self.name}: some threads wait at a barrier that the others of their block do not reach"
            )

    def check(self, args: tuple) -> None:
        if len(args) != len(self.parameters):
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments, got {len(args)}")
        for parameter, value in zip(self.parameters, args, strict=True):
            got = getattr(value, "dtype", None)
            if got != parameter.scalar:
                raise TypeError(
                    f"{self.name}: {parameter.name} is {parameter.c_type}: {parameter.scalar} wanted, got {got or type(value)}"
                )


def compiler() -> str | None:
    """The host's C++ compiler, or None."""
    return shutil.which("g++") or shutil.which("clang++")


@cache
def compile_source(text: str) -> Mapping[str, HostKernel]:
    """The kernels in CUDA source `text`. Raises NotPossible without a C++ compiler, CalledProcessError on an error in the source."""
    cxx = compiler()
    if cxx is None:
        raise NotPossible(
            "no C++ compiler (g++ or clang++) on this machine; install one to run CUDA kernels on the host"
        )
    with tempfile.TemporaryDirectory(prefix="flopbench-") as folder:
        source, library = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
        source.write_text(_SHIM + text, encoding="utf-8")
        plain = subprocess.run([cxx, "-E", "-P", source], check=True, capture_output=True, text=True).stdout
        found = [(name, _parameters(inside)) for name, inside in _SIGNATURE.findall(plain)]
        drivers = [
            _DRIVER.format(name=name, arguments=", ".join(f"*({p.c_type}*)args[{i}]" for i, p in enumerate(parameters)))
            for name, parameters in found
        ]
        block = _BLOCK_WITH_BARRIERS if "__syncthreads" in text else _PLAIN_BLOCK
        blocks = _BLOCKS_TOGETHER if "atomicAdd" in text else _BLOCKS_IN_TURN
        source.write_text("".join((plain, block, blocks, *drivers)), encoding="utf-8")
        subprocess.run(
            [
                cxx,
                "-O2",
                "-U_FORTIFY_SOURCE",
                "-ffp-contract=off",
                "-pthread",
                "-shared",
                "-fPIC",
                "-o",
                library,
                source,
            ],
            check=True,
            capture_output=True,
        )
        loaded = ctypes.CDLL(str(library))
    made = {}
    for name, parameters in found:
        drive = loaded[f"drive_{name}"]
        drive.restype = ctypes.c_bool
        made[name] = HostKernel(name, parameters, drive)
    return made


def _parameters(inside: str) -> tuple[Parameter, ...]:
    pairs = [re.fullmatch(r"\s*(.+?)\s*(\w+)\s*", part) for part in inside.split(",")]
    return tuple(Parameter(pair[2], pair[1]) for pair in pairs if pair)
