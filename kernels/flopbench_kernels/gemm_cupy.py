"""GEMM on an NVIDIA GPU: cublasGemmEx through CuPy's raw binding, with the compute type spelled out. Importable without CuPy.

Never cupy.matmul: it copies views, chooses compute types by itself, and multiplies 8-bit integers without tensor cores.

Column-major, leading dimensions padded to 128 bytes. `layout` "TN" means that A is stored as its transpose, so that the k elements of one
sum lie side by side in both operands: 8-bit tensor cores take nothing else. Choose another with --option layout=NN|NT|TN|TT.

Operands come from a counter on the GPU. Several sets of buffers with the
same content take turns, so that no product finds its operands in the L2 cache.
Inside `run` there are one call of cuBLAS, two event records and one wait: no allocation, no copy.
The product stays on the GPU to be checked: its sums are formed there by kernels of our own (cuda/held.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from flopbench.errors import BadInput
from flopbench.kernel_api import Comm, GemmOutcome, GemmProblem, Kernel
from flopbench_kernels.cuda import constants as const
from flopbench_kernels.cuda.context import Gpu, grid_over
from flopbench_kernels.cuda.faults import OutOfDeviceMemory
from flopbench_kernels.cuda.held import CheckSpace, DeviceMatrix, check_bytes
from flopbench_kernels.cuda.matrix import Matrix, leading_dimension, stored_bytes
from flopbench_kernels.cuda.opening import describe, open_gpu, require_arithmetic, why_not
from flopbench_kernels.cuda.rules import GEMM_TYPES, GemmCall

#: The buffers of all sets together are at least this large: twice the largest L2 cache of a GPU so far (126 MB, B200; NVIDIA data sheets).
BEYOND_L2_BYTES = 256 << 20
MAX_SETS = 64
WORKSPACE_BYTES = (
    64 << 20
)  # what cuBLAS takes for a handle: 32 MiB on compute capability 9.0, less on others (cuBLAS documentation 12.9)
_LAYOUTS = {
    "NN": (const.OP_N, const.OP_N),
    "NT": (const.OP_N, const.OP_T),
    "TN": (const.OP_T, const.OP_N),
    "TT": (const.OP_T, const.OP_T),
}
#: Written over C before a run, byte by byte: NaN in every floating-point type, and far below any sum of 8-bit products in int32.
_POISON = {const.R_32I: 0x80}


@dataclass(frozen=True)
class Recipe:
    """What gemmEx is asked for: types of operands and result, compute type, layout unless the user names another."""

    operand: int
    result: int
    compute: int
    layout: str
    compute_name: str


@dataclass(frozen=True)
class Buffers:
    """One set of operands and result, and the call that multiplies them."""

    a: Matrix
    b: Matrix
    c: Matrix
    call: GemmCall


class GemmCupy(Kernel):
    """C = A B (+ C) on one GPU. Subclasses name the precision and the recipe."""

    routine = "gemm"
    backend = "cupy"
    device = "cuda"
    user_order = 10
    recipe: ClassVar[Recipe]
    types: ClassVar[dict[tuple[int, int, int], tuple[str, tuple[int, int]]]] = GEMM_TYPES
    function: ClassVar[str] = "cublasGemmEx"
    rounding: ClassVar[str] = "nearest"

    def why_not(self, machine: Any) -> str | None:
        reason = why_not(self.precision)
        if reason:
            return reason
        least = self.least_capability()
        gpus = machine.gpus if machine else []
        known = [gpu for gpu in gpus if gpu.index == (self.settings.device_index or 0) and gpu.compute_capability]
        if known and tuple(map(int, known[0].compute_capability.split("."))) < least:
            return f"needs compute capability {least[0]}.{least[1]}, {known[0].name} has {known[0].compute_capability}"
        return None

    def memory_bytes(self, problem: GemmProblem) -> int:
        m, n, k = problem.m, problem.n, problem.k
        start = stored_bytes(self.recipe.result, m, n) if problem.beta else 0
        return self._sets(problem) * self._set_bytes(m, n, k) + start + check_bytes(max(m, n, k)) + WORKSPACE_BYTES

    def memory_room(self, comm: Comm) -> tuple[int, str]:
        """What is free on the GPU."""
        gpu = open_gpu(self.settings, comm)
        try:
            return gpu.libraries.free_bytes(), f"free on {gpu.facts.name}"
        finally:
            gpu.close()

    def setup(self, problem: GemmProblem, comm: Comm, machine: Any) -> None:
        self._problem, self._turn = problem, -1
        self._gpu = open_gpu(self.settings, comm)
        self._lane = self._gpu.lane()
        require_arithmetic(self._gpu, self._lane, self.precision)
        self._fill = self._gpu.kernels("operands")
        self._alpha, self._beta = (np.array(value, self._scalar()) for value in (1, problem.beta))
        try:
            self._space = CheckSpace(self._gpu, self._lane, max(problem.m, problem.n, problem.k))
            self._start_c = self._matrix(self.recipe.result, problem.m, problem.n) if problem.beta else None
            self._buffers = [self._one_set() for _ in range(self._sets(problem))]
        except OutOfDeviceMemory as error:
            self._release()
            largest = self._largest_n(self._gpu.libraries.free_bytes())
            raise OutOfDeviceMemory(f"{error}; the largest n = m = k that fits is {largest}") from error
        self._start, self._stop = (self._gpu.event(timing=True) for _ in range(2))
        self._gpu.wait(self._lane.stream, "generating the operands")

    def reset(self) -> None:
        coming = self._buffers[(self._turn + 1) % len(self._buffers)]
        if self._problem.beta:
            self._generate(coming.c, self._problem.seed + 2)
        else:
            self._gpu.set_bytes(self._lane, coming.c.address, _POISON.get(coming.c.kind, 0xFF), coming.c.bytes)
        self._gpu.wait(self._lane.stream, "preparing C")

    def run(self) -> None:
        self._turn = (self._turn + 1) % len(self._buffers)
        self._gpu.mark(self._start, self._lane)
        self._multiply(self._buffers[self._turn].call)
        self._gpu.mark(self._stop, self._lane)
        self._gpu.wait(self._stop, str(self._buffers[self._turn].call))

    def device_seconds(self) -> float:
        return self._gpu.libraries.elapsed_seconds(self._start, self._stop)

    def gpu_address(self) -> str | None:
        return self._gpu.facts.pci_bus_id

    def outcome(self) -> GemmOutcome:
        used = self._buffers[self._turn]
        a = DeviceMatrix(self._space, used.a, used.call.trans_a == const.OP_T)
        b = DeviceMatrix(self._space, used.b, used.call.trans_b == const.OP_T)
        c0 = None
        if self._start_c is not None:
            self._generate(self._start_c, self._problem.seed + 2)
            c0 = DeviceMatrix(self._space, self._start_c)
        return GemmOutcome(a, b, DeviceMatrix(self._space, used.c), self.accumulator, c0, self.rounding)

    def close(self) -> None:
        self._said = self.describe()
        self._release()
        self._start = self._stop = None
        gpu, self._gpu = getattr(self, "_gpu", None), None
        if gpu is not None:
            gpu.close()

    def _release(self) -> None:
        self._buffers, self._space, self._start_c = [], None, None

    def describe(self) -> dict[str, str]:
        gpu = getattr(self, "_gpu", None)
        return self._described(gpu) if gpu else getattr(self, "_said", {})

    def _described(self, gpu: Gpu) -> dict[str, str]:
        sets = self._sets(self._problem)
        return {
            "call": f"{self.function} {self._layout()}, {self.recipe.compute_name}",
            "result": const.DATA_TYPE_NUMPY[self.recipe.result],
            "buffer_sets": f"{sets}, {sets * self._set_bytes(self._problem.m, self._problem.n, self._problem.k)} bytes",
            **({"event_seconds": f"{self.device_seconds():.6g}"} if self._turn >= 0 else {}),
            **describe(gpu),
        }

    def _layout(self) -> str:
        layout = self.settings.extra.get("layout", self.recipe.layout)
        if layout not in _LAYOUTS:
            raise BadInput(f"--option layout={layout}; allowed: {', '.join(_LAYOUTS)}")
        return layout

    @classmethod
    def least_capability(cls) -> tuple[int, int]:
        """The least compute capability that has this product."""
        return cls.types[cls.recipe.compute, cls.recipe.operand, cls.recipe.result][1]

    def _scalar(self) -> str:
        return self.types[self.recipe.compute, self.recipe.operand, self.recipe.result][0]

    def _plan(self, call: GemmCall) -> None:
        """What a call needs before it is first made."""
        self._gpu.check_gemm(call)

    def _multiply(self, call: GemmCall) -> None:
        self._gpu.gemm(self._lane, call)

    def _shapes(self, m: int, n: int, k: int) -> list[tuple[int, int, int]]:
        """(type, rows, columns) of A, B and C as stored."""
        trans_a, trans_b = _LAYOUTS[self._layout()]
        a = (m, k) if trans_a == const.OP_N else (k, m)
        b = (k, n) if trans_b == const.OP_N else (n, k)
        return [(self.recipe.operand, *a), (self.recipe.operand, *b), (self.recipe.result, m, n)]

    def _set_bytes(self, m: int, n: int, k: int) -> int:
        return sum(stored_bytes(*shape) for shape in self._shapes(m, n, k))

    def _sets(self, problem: GemmProblem) -> int:
        return min(MAX_SETS, math.ceil(BEYOND_L2_BYTES / self._set_bytes(problem.m, problem.n, problem.k)))

    def _largest_n(self, free: int) -> int:
        """The largest multiple of 128 of which one set, the check, and what cuBLAS takes, fit into `free` bytes."""
        low, high = 0, 1 << 15
        while high - low > 1:
            middle = (low + high) // 2
            n = 128 * middle
            low, high = (
                (middle, high) if self._set_bytes(n, n, n) + check_bytes(n) + WORKSPACE_BYTES <= free else (low, middle)
            )
        return 128 * low

    def _one_set(self) -> Buffers:
        m, n, k = self._problem.m, self._problem.n, self._problem.k
        a, b, c = (self._matrix(*shape) for shape in self._shapes(m, n, k))
        trans_a, trans_b = _LAYOUTS[self._layout()]
        call = GemmCall(
            trans_a, trans_b, m, n, k, self._alpha, a.address, a.kind, a.ld, b.address, b.kind, b.ld,
            self._beta, c.address, c.kind, c.ld, self.recipe.compute, self.function,
        )  # fmt: skip
        self._plan(call)
        self._generate(a, self._problem.seed)
        self._generate(b, self._problem.seed + 1)
        return Buffers(a, b, c, call)

    def _matrix(self, kind: int, rows: int, cols: int) -> Matrix:
        dtype = np.dtype(const.DATA_TYPE_NUMPY[kind])
        ld = leading_dimension(kind, rows)
        memory = self._gpu.allocate(stored_bytes(kind, rows, cols), f"{rows} x {cols} {dtype.name}")
        array = self._gpu.libraries.array(memory, (rows, cols), dtype.name, (dtype.itemsize, ld * dtype.itemsize))
        return Matrix(array, kind, rows, cols, ld)

    def _generate(self, matrix: Matrix, seed: int) -> None:
        name = f"fill_{const.KERNEL_TYPES[matrix.kind]}"
        args = (
            np.uint64(matrix.address), np.int64(matrix.ld), np.int64(matrix.rows), np.int64(matrix.cols), np.uint64(seed),
        )  # fmt: skip
        self._gpu.launch(self._lane, self._fill[name], name, grid_over(matrix.rows, matrix.cols), args)


class GemmFp64Cupy(GemmCupy):
    name = "gemm_fp64_cupy"
    precision = "fp64"
    accumulator = "float64"
    summary = "FP64 matrix product by cuBLAS; on tensor cores where the GPU has FP64 ones"
    recipe = Recipe(const.R_64F, const.R_64F, const.COMPUTE_64F, "NN", "CUBLAS_COMPUTE_64F")


class GemmFp32Cupy(GemmCupy):
    name = "gemm_fp32_cupy"
    precision = "fp32"
    accumulator = "float32"
    summary = "FP32 matrix product by cuBLAS, TF32 off"
    recipe = Recipe(const.R_32F, const.R_32F, const.COMPUTE_32F, "NN", "CUBLAS_COMPUTE_32F")


class TensorCoreGemm(GemmCupy):
    """On tensor cores, which cut sums off instead of rounding them (Fasi, Higham, Mikaitis, Pranesh, PeerJ CS 7:e330, 2021)."""

    rounding = "toward_zero"
    accumulator = "float32"


class GemmTf32Cupy(TensorCoreGemm):
    name = "gemm_tf32_cupy"
    precision = "tf32"
    summary = "TF32 matrix product by cuBLAS: FP32 operands cut to 11 bits, sums in FP32"
    recipe = Recipe(const.R_32F, const.R_32F, const.COMPUTE_32F_FAST_TF32, "TN", "CUBLAS_COMPUTE_32F_FAST_TF32")


class GemmBf16Cupy(TensorCoreGemm):
    name = "gemm_bf16_cupy"
    precision = "bf16"
    summary = "BF16 matrix product by cuBLAS, sums and result in FP32"
    recipe = Recipe(const.R_16BF, const.R_32F, const.COMPUTE_32F, "TN", "CUBLAS_COMPUTE_32F")


class GemmFp16Cupy(TensorCoreGemm):
    name = "gemm_fp16_cupy"
    precision = "fp16"
    summary = "FP16 matrix product by cuBLAS, sums and result in FP32"
    recipe = Recipe(const.R_16F, const.R_32F, const.COMPUTE_32F, "TN", "CUBLAS_COMPUTE_32F")


class GemmFp16CupyAcc16(TensorCoreGemm):
    name = "gemm_fp16_cupy_acc16"
    precision = "fp16"
    accumulator = "float16"
    summary = "FP16 matrix product by cuBLAS with sums in FP16 too: less exact, and faster on some cards"
    user_order = 60
    recipe = Recipe(const.R_16F, const.R_16F, const.COMPUTE_16F, "TN", "CUBLAS_COMPUTE_16F")


class GemmInt8Cupy(GemmCupy):
    name = "gemm_int8_cupy"
    precision = "int8"
    accumulator = "int32"
    summary = "INT8 matrix product by cuBLAS, sums in 32-bit integers, in the layout of the tensor cores"
    recipe = Recipe(const.R_8I, const.R_32I, const.COMPUTE_32I, "TN", "CUBLAS_COMPUTE_32I")
