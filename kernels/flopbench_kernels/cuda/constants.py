"""The enumerators of cuBLAS, cuSOLVER and the CUDA runtime that we pass, as plain integers.

Source: cublas_api.h, library_types.h and driver_types.h of CUDA 12.9 and 13. A test holds them against the installed CuPy, or against the
recorded values where cuBLAS is not installed.
"""

from __future__ import annotations

from types import MappingProxyType

# cublasOperation_t, cublasSideMode_t, cublasFillMode_t, cublasDiagType_t
OP_N, OP_T = 0, 1
SIDE_LEFT, SIDE_RIGHT = 0, 1
FILL_LOWER, FILL_UPPER = 0, 1
DIAG_NON_UNIT, DIAG_UNIT = 0, 1

# cublasComputeType_t
COMPUTE_16F = 64
COMPUTE_32F = 68
COMPUTE_64F = 70
COMPUTE_32I = 72
COMPUTE_32F_FAST_TF32 = 77

# cudaDataType_t; CuPy does not export CUDA_R_32I and CUDA_R_8F_E4M3
R_32F, R_64F, R_16F, R_8I, R_32I, R_16BF, R_8F_E4M3 = 0, 1, 2, 3, 10, 14, 28
#: What our own CUDA kernels are called after the type that they work on: fill_float64, weigh_float64 ...
KERNEL_TYPES = MappingProxyType(
    {
        R_64F: "float64",
        R_32F: "float32",
        R_16F: "float16",
        R_16BF: "bfloat16",
        R_8F_E4M3: "e4m3",
        R_8I: "int8",
        R_32I: "int32",
    }
)

GEMM_DEFAULT = -1  # cublasGemmAlgo_t: the library's own heuristic

# cublasMath_t, as bits
MATH_DEFAULT = 0
MATH_TF32 = 3
MATH_FP32_EMULATED_BF16X9 = 4
MATH_FP64_EMULATED_FIXEDPOINT = 8

# cudaMemcpyKind
HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE = 1, 2, 3

NCCL_FLOAT64 = 8  # ncclDataType_t (nccl.h)

#: NumPy name of the elements of each cudaDataType_t; bfloat16 is carried as uint16 bit patterns, FP8 as uint8.
DATA_TYPE_NUMPY = MappingProxyType(
    {
        R_32F: "float32",
        R_64F: "float64",
        R_16F: "float16",
        R_8I: "int8",
        R_32I: "int32",
        R_16BF: "uint16",
        R_8F_E4M3: "uint8",
    }
)

# cublasLt.h of CUDA 12.9 and 13: cublasLtMatmulDescAttributes_t, cublasLtMatmulPreferenceAttributes_t
LT_DESC_TRANSA, LT_DESC_TRANSB = 3, 4
LT_DESC_A_SCALE_POINTER, LT_DESC_B_SCALE_POINTER = 17, 18
LT_DESC_FAST_ACCUM = 25
LT_PREF_MAX_WORKSPACE_BYTES = 1

#: Under which name nvmath.bindings shows each number, by enumeration: what the test of signatures looks up.
NVMATH_NAMES = MappingProxyType(
    {
        "cublasLt.MatmulDescAttribute": {
            "TRANSA": LT_DESC_TRANSA,
            "TRANSB": LT_DESC_TRANSB,
            "A_SCALE_POINTER": LT_DESC_A_SCALE_POINTER,
            "B_SCALE_POINTER": LT_DESC_B_SCALE_POINTER,
            "FAST_ACCUM": LT_DESC_FAST_ACCUM,
        },
        "cublasLt.MatmulPreferenceAttribute": {"MAX_WORKSPACE_BYTES": LT_PREF_MAX_WORKSPACE_BYTES},
        "cublas.ComputeType": {"COMPUTE_32F": COMPUTE_32F},
        "cublas.Operation": {"N": OP_N, "T": OP_T},
    }
)

#: Under which name CuPy shows each number, by module: what the test of signatures looks up.
CUPY_NAMES = MappingProxyType(
    {
        "cupy_backends.cuda.libs.cublas": {
            "CUBLAS_OP_N": OP_N,
            "CUBLAS_OP_T": OP_T,
            "CUBLAS_SIDE_LEFT": SIDE_LEFT,
            "CUBLAS_SIDE_RIGHT": SIDE_RIGHT,
            "CUBLAS_FILL_MODE_LOWER": FILL_LOWER,
            "CUBLAS_FILL_MODE_UPPER": FILL_UPPER,
            "CUBLAS_DIAG_NON_UNIT": DIAG_NON_UNIT,
            "CUBLAS_DIAG_UNIT": DIAG_UNIT,
            "CUBLAS_COMPUTE_16F": COMPUTE_16F,
            "CUBLAS_COMPUTE_32F": COMPUTE_32F,
            "CUBLAS_COMPUTE_64F": COMPUTE_64F,
            "CUBLAS_COMPUTE_32I": COMPUTE_32I,
            "CUBLAS_COMPUTE_32F_FAST_TF32": COMPUTE_32F_FAST_TF32,
            "CUBLAS_DEFAULT_MATH": MATH_DEFAULT,
            "CUBLAS_GEMM_DEFAULT": GEMM_DEFAULT,
        },
        "cupy_backends.cuda.api.runtime": {
            "CUDA_R_32F": R_32F,
            "CUDA_R_64F": R_64F,
            "CUDA_R_16F": R_16F,
            "CUDA_R_8I": R_8I,
            "CUDA_R_16BF": R_16BF,
            "memcpyHostToDevice": HOST_TO_DEVICE,
            "memcpyDeviceToHost": DEVICE_TO_HOST,
            "memcpyDeviceToDevice": DEVICE_TO_DEVICE,
        },
    }
)
