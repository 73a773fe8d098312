"""Environment variables and handle states that make a GPU compute in another precision than the one that is named.

Sources: cuBLAS documentation 12.9 and 13, "cublasMath_t" and "Floating point emulation"; NVIDIA_TF32_OVERRIDE in the same manual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Variables that belong into the record of every GPU run, if set.
VARIABLES = (
    "CUBLAS_EMULATE_DOUBLE_PRECISION",
    "CUBLAS_EMULATE_SINGLE_PRECISION",
    "CUBLAS_EMULATION_STRATEGY",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_DEVICE_ORDER",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_MODULE_LOADING",
    "CUDA_VISIBLE_DEVICES",
    "CUPY_TF32",
    "NVIDIA_TF32_OVERRIDE",
)

_OFF = ("", "0")
_TF32_MATH, _EMULATED_SINGLE, _EMULATED_DOUBLE = 3, 4, 8  # cublasMath_t


@dataclass(frozen=True)
class Hazard:
    """`variable` = `value` changes what `precision` means: `effect`."""

    variable: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.variable}={self.value}: {self.effect}; unset it"


def hazards(precision: str, environ: Mapping[str, str]) -> list[Hazard]:
    """What in the environment makes a run in `precision` one in another arithmetic. Such a run must be refused."""
    found = []

    def is_on(name: str) -> bool:
        return environ.get(name, "").strip() not in _OFF

    def add(name: str, effect: str) -> None:
        found.append(Hazard(name, environ[name], effect))

    if precision == "fp64" and is_on("CUBLAS_EMULATE_DOUBLE_PRECISION"):
        add("CUBLAS_EMULATE_DOUBLE_PRECISION", "cuBLAS emulates FP64 in 8-bit integers, which is no 64-bit arithmetic")
    if precision == "fp32" and is_on("CUBLAS_EMULATE_SINGLE_PRECISION"):
        add("CUBLAS_EMULATE_SINGLE_PRECISION", "cuBLAS emulates FP32 in BF16")
    if precision == "fp32" and is_on("NVIDIA_TF32_OVERRIDE"):
        add("NVIDIA_TF32_OVERRIDE", "FP32 products are carried out in TF32")
    if precision == "tf32" and environ.get("NVIDIA_TF32_OVERRIDE", "").strip() == "0":
        add("NVIDIA_TF32_OVERRIDE", "TF32 is off in all NVIDIA libraries, so this would measure FP32")
    return found


def math_mode_hazard(precision: str, mode: int) -> str | None:
    """Why a cuBLAS handle in this math mode must not measure `precision`, or None."""
    if precision == "fp64" and mode & _EMULATED_DOUBLE:
        return "the cuBLAS handle emulates FP64 (CUBLAS_FP64_EMULATED_FIXEDPOINT_MATH), which is no 64-bit arithmetic"
    if precision == "fp32" and mode & _EMULATED_SINGLE:
        return "the cuBLAS handle emulates FP32 (CUBLAS_FP32_EMULATED_BF16X9_MATH)"
    if precision == "fp32" and mode & 15 == _TF32_MATH:
        return "the cuBLAS handle carries out FP32 in TF32 (CUBLAS_TF32_TENSOR_OP_MATH)"
    return None


def recorded(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that matter to a GPU run, as far as they are set."""
    return {name: environ[name] for name in VARIABLES if name in environ}
