"""FP8 products by cublasLtMatmul, which alone in cuBLAS takes FP8, through the raw bindings of nvmath-python (CuPy has none).

The raw bindings and not nvmath.linalg.advanced: that one takes FP8 as PyTorch tensors only, and allocates its result in every call.
Here all memory is ours and named by address, so that a run is one call. Importable without nvmath-python.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from flopbench.errors import NotPossible
from flopbench_kernels.cuda import constants as const
from flopbench_kernels.cuda.context import Gpu, Lane
from flopbench_kernels.cuda.rules import GemmCall

#: What cublasLt may use beside the matrices: the size that cuBLAS takes for itself on compute capability 9.0 (documentation 12.9).
WORKSPACE_BYTES = 32 << 20
#: cublasLtMatmulHeuristicResult_t of cublasLt.h: the algorithm comes first.
RESULT = np.dtype(
    [("algo", "u8", 8), ("workspace_size", "u8"), ("state", "i4"), ("waves", "f4"), ("reserved", "i4", 4)]
)
_SCALE_BYTES = 256


def why_no_cublaslt() -> str | None:
    """Why cublasLt cannot be called, or None. Looks for the package without importing it."""
    if find_spec("nvmath") is None:
        return "FP8 needs cublasLt, which CuPy does not bind: nvmath-python is not installed (pip install 'flopbench[fp8]')"
    return None


class LtProduct:
    """D = 1 x A^T B (+ C) of E4M3 operands, planned once for one set of shapes and run again and again.

    Scales of A and B are explicit: 1.0 on the GPU. Fast accumulation is off, so that cuBLAS promotes partial sums to FP32 on the way.
    Raises NotPossible where cublasLt has no algorithm for it, CudaFault.
    """

    def __init__(self, gpu: Gpu, lane: Lane, call: GemmCall) -> None:
        """`call` has passed rules.broken_lt_rule; others that differ from it in addresses only may be run too."""
        self._gpu, self._lane, self._what = gpu, lane, str(call)
        self._lt = _library(gpu)
        self._undo: list[tuple[str, Callable[[int], None], int]] = []
        try:
            self._plan(call)
        except Exception:
            self.close()
            raise

    def _plan(self, call: GemmCall) -> None:
        gpu, lane = self._gpu, self._lane
        self._workspace = gpu.allocate(WORKSPACE_BYTES, "what cublasLt works in")
        self._scale = gpu.allocate(_SCALE_BYTES, "the scale of FP8 operands")
        one = gpu.pinned(4).view(np.float32)
        one[0] = 1.0
        gpu.copy(lane, 1, 1, one.ctypes.data, 1, int(self._scale.ptr), 1, const.HOST_TO_DEVICE, 4)
        gpu.wait(lane.stream, "sending the scale of FP8 operands")
        self._handle = self._made("cublasLtCreate", "destroy", self._lt.create)
        self._operation = self._described(call)
        self._a, self._b, self._c = (
            self._layout(kind, rows, cols, ld)
            for kind, rows, cols, ld in (
                (call.a_type, call.k, call.m, call.lda),
                (call.b_type, call.k, call.n, call.ldb),
                (call.c_type, call.m, call.n, call.ldc),
            )
        )
        self._found = self._best_algorithm()

    def run(self, call: GemmCall) -> None:
        """Queue the product."""
        self._gpu.call(
            call.__str__, self._lt.matmul,
            self._handle, self._operation, call.alpha.ctypes.data, call.a, self._a, call.b, self._b, call.beta.ctypes.data,
            call.c, self._c, call.c, self._c, self._found.ctypes.data, int(self._workspace.ptr), WORKSPACE_BYTES,
            self._lane.stream.ptr,
        )  # fmt: skip

    def close(self) -> None:
        """Give everything back, after the stream has come to its end; may be called twice."""
        self._gpu.wait(self._lane.stream, "waiting for cublasLt")
        while self._undo:
            name, function, what = self._undo.pop()
            self._gpu.call(name, function, what)
        self._workspace = self._scale = None

    def versions(self) -> dict[str, str]:
        """Of cublasLt, as 10000 major + 100 minor + patch."""
        return {"cublaslt": str(self._gpu.call("cublasLtGetVersion", self._lt.get_version)), "fast_accumulation": "off"}

    def _described(self, call: GemmCall) -> int:
        operation = self._made(
            "cublasLtMatmulDescCreate", "matmul_desc_destroy", self._lt.matmul_desc_create, call.compute, const.R_32F
        )
        for attribute, value in (
            (const.LT_DESC_TRANSA, np.int32(call.trans_a)),
            (const.LT_DESC_TRANSB, np.int32(call.trans_b)),
            (const.LT_DESC_A_SCALE_POINTER, np.uint64(self._scale.ptr)),
            (const.LT_DESC_B_SCALE_POINTER, np.uint64(self._scale.ptr)),
            (const.LT_DESC_FAST_ACCUM, np.int8(0)),
        ):
            self._set("cublasLtMatmulDescSetAttribute", self._lt.matmul_desc_set_attribute, operation, attribute, value)
        return operation

    def _layout(self, kind: int, rows: int, cols: int, ld: int) -> int:
        create = self._lt.matrix_layout_create
        return self._made("cublasLtMatrixLayoutCreate", "matrix_layout_destroy", create, kind, rows, cols, ld)

    def _best_algorithm(self) -> np.ndarray:
        """What the library's heuristic puts first."""
        preference = self._made(
            "cublasLtMatmulPreferenceCreate", "matmul_preference_destroy", self._lt.matmul_preference_create
        )
        self._set(
            "cublasLtMatmulPreferenceSetAttribute", self._lt.matmul_preference_set_attribute,
            preference, const.LT_PREF_MAX_WORKSPACE_BYTES, np.uint64(WORKSPACE_BYTES),
        )  # fmt: skip
        found, count = np.zeros(1, RESULT), np.zeros(1, np.int32)
        self._gpu.call(
            f"cublasLtMatmulAlgoGetHeuristic for {self._what}", self._lt.matmul_algo_get_heuristic,
            self._handle, self._operation, self._a, self._b, self._c, self._c, preference, 1, found.ctypes.data, count.ctypes.data,
        )  # fmt: skip
        if count[0] < 1 or found["state"][0] != 0:
            raise NotPossible(f"cublasLt has no algorithm on this GPU for {self._what}")
        return found

    def _set(self, name: str, function: Callable[..., None], target: int, attribute: int, value: np.generic) -> None:
        held = np.array(value)
        self._gpu.call(f"{name} {attribute}", function, target, attribute, held.ctypes.data, held.nbytes)

    def _made(self, name: str, destroy: str, create: Callable[..., int], *args: int) -> int:
        made = self._gpu.call(name, create, *args)
        self._undo.append((destroy, getattr(self._lt, destroy), made))
        return made


def _library(gpu: Gpu) -> Any:
    try:
        return gpu.libraries.cublaslt()
    except ImportError as error:
        reason = why_no_cublaslt() or f"nvmath-python cannot be imported: {' '.join(str(error).split())}"
        raise NotPossible(reason) from error
