"""Our CUDA kernels through the host's C++ compiler: the same source, each thread of each block in turn.

Right for kernels without barriers, shared memory and atomics, which ours are: then any order of threads gives the same bits. Products and
sums are not contracted on either side (-ffp-contract=off here, --fmad=false there).
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
struct Index3 { unsigned x, y, z; };
static thread_local Index3 blockIdx, threadIdx, blockDim, gridDim;
"""

_DRIVER = """
extern "C" void drive_{name}(const unsigned* grid, const unsigned* block, void** args) {{
    gridDim = {{grid[0], grid[1], grid[2]}};
    blockDim = {{block[0], block[1], block[2]}};
    for (unsigned y = 0; y < grid[1]; ++y)
        for (unsigned x = 0; x < grid[0]; ++x)
            for (unsigned t = 0; t < block[0]; ++t) {{
                blockIdx = {{x, y, 0}};
                threadIdx = {{t, 0, 0}};
                {name}({arguments});
            }}
}}
"""

_SIGNATURE = re.compile(r'extern "C" void (\w+)\(([^)]*)\)\s*\{')


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
        self.function(shape[0], shape[1], pointers)

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
        source.write_text(plain + "".join(drivers), encoding="utf-8")
        subprocess.run(
            [cxx, "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-o", library, source],
            check=True,
            capture_output=True,
        )
        loaded = ctypes.CDLL(str(library))
    return {name: HostKernel(name, parameters, loaded[f"drive_{name}"]) for name, parameters in found}


def _parameters(inside: str) -> tuple[Parameter, ...]:
    pairs = [re.fullmatch(r"\s*(.+?)\s*(\w+)\s*", part) for part in inside.split(",")]
    return tuple(Parameter(pair[2], pair[1]) for pair in pairs if pair)
