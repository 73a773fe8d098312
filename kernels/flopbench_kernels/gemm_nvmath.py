"""FP8 GEMM on an NVIDIA GPU: cublasLtMatmul through nvmath-python, which is an extra. Everything else is that of gemm_cupy.

Operands are E4M3, which has the longer significand of the two FP8 formats; sums and result are FP32, scales are 1. "TN" is the only layout:
the tensor cores of compute capability 8.9, 9.0 and 12.0 take no other (cuBLAS documentation 12.9, cublasLtMatmul).
"""

from __future__ import annotations

from typing import Any

from flopbench.errors import BadInput
from flopbench_kernels.cuda import constants as const
from flopbench_kernels.cuda import lt, rules
from flopbench_kernels.cuda.context import Gpu
from flopbench_kernels.cuda.rules import GemmCall
from flopbench_kernels.gemm_cupy import Recipe, TensorCoreGemm


class GemmFp8Nvmath(TensorCoreGemm):
    name = "gemm_fp8_nvmath"
    precision = "fp8"
    backend = "nvmath"
    summary = "FP8 (E4M3) matrix product by cublasLt through nvmath-python, sums and result in FP32"
    recipe = Recipe(const.R_8F_E4M3, const.R_32F, const.COMPUTE_32F, "TN", "CUBLAS_COMPUTE_32F")
    types = rules.LT_TYPES
    function = "cublasLtMatmul"
    _product: lt.LtProduct | None = None

    def why_not(self, machine: Any) -> str | None:
        return super().why_not(machine) or lt.why_no_cublaslt()

    def _layout(self) -> str:
        layout = super()._layout()
        if layout != "TN":
            raise BadInput(f"--option layout={layout}; FP8 on tensor cores takes A transposed and B not: TN")
        return layout

    def _plan(self, call: GemmCall) -> None:
        rules.require(call, rules.broken_lt_rule(call, self._gpu.facts.capability))
        if self._product is None:
            self._product = lt.LtProduct(self._gpu, self._lane, call)

    def _multiply(self, call: GemmCall) -> None:
        self._product.run(call)

    def _release(self) -> None:
        product, self._product = self._product, None
        if product is not None:
            product.close()
        super()._release()

    def _described(self, gpu: Gpu) -> dict[str, str]:
        return super()._described(gpu) | (self._product.versions() if self._product else {})
