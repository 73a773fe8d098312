"""BLAS by address: dgemm and dtrsm as compiled code and Python threads can call them, without the GIL and without a copy.

The functions come from SciPy (scipy.linalg.cython_blas exports their addresses) or from a library named by path with the Fortran
symbols dgemm_ and dtrsm_ (LP64: 32-bit integers). Every argument goes by reference, as Fortran has it.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from flopbench.errors import NotPossible

_N, _L, _U = (np.uint8(ord(letter)) for letter in "NLU")


@dataclass(frozen=True)
class Blas:
    """Addresses of the two routines, and where they come from."""

    gemm: int
    trsm: int
    origin: str


def scipy_blas() -> Blas:
    """The BLAS that SciPy is linked with."""
    from scipy.linalg import cython_blas

    return Blas(_capsule(cython_blas, "dgemm"), _capsule(cython_blas, "dtrsm"), "the BLAS of SciPy")


def blas_by_path(path: str) -> Blas:
    """The BLAS in the shared library at `path`. Raises NotPossible if it cannot be loaded or lacks the Fortran symbols."""
    try:
        library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise NotPossible(f"BLAS library {path!r} cannot be loaded: {error}") from error
    addresses = []
    for symbol in ("dgemm_", "dtrsm_"):
        if not hasattr(library, symbol):
            raise NotPossible(f"BLAS library {path!r} has no symbol {symbol} (Fortran, 32-bit integers)")
        addresses.append(ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value or 0)
    return Blas(addresses[0], addresses[1], path)


def _capsule(module: object, name: str) -> int:
    """The address in a Cython module's export table."""
    capsule = module.__pyx_capi__[name]  # type: ignore[attr-defined]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


@intrinsic
def _call_fortran(typing_context, function, arguments):
    """Call the routine at address `function`. In the tuple, int64 is an address; uint8, int32 and float64 go by reference."""
    if not (isinstance(function, types.Integer) and isinstance(arguments, types.BaseTuple)):
        return None

    def generate(context, builder, signature, values):
        address, packed = values
        byte_pointer = ir.IntType(8).as_pointer()
        passed = []
        for kind, value in zip(arguments.types, cgutils.unpack_tuple(builder, packed), strict=True):
            if kind == types.int64:
                passed.append(builder.inttoptr(value, byte_pointer))
            else:
                slot = cgutils.alloca_once_value(builder, value)
                passed.append(builder.bitcast(slot, byte_pointer))
        routine = ir.FunctionType(ir.VoidType(), [byte_pointer] * len(passed))
        builder.call(builder.inttoptr(address, routine.as_pointer()), passed)
        return context.get_dummy_value()

    return types.void(function, arguments), generate


@njit(nogil=True, cache=True)
def gemm(routine, m, n, k, a, lda, b, ldb, c, ldc):
    """C (m x n) -= A (m x k) B (k x n). `routine` is Blas.gemm; a, b, c are addresses."""
    if m <= 0 or n <= 0 or k <= 0:
        return
    _call_fortran(
        routine,
        (
            _N,
            _N,
            np.int32(m),
            np.int32(n),
            np.int32(k),
            -1.0,
            np.int64(a),
            np.int32(lda),
            np.int64(b),
            np.int32(ldb),
            1.0,
            np.int64(c),
            np.int32(ldc),
        ),
    )


@njit(nogil=True, cache=True)
def trsm(routine, k, n, l1, ldl, b, ldb):
    """B (k x n) = L1^-1 B with L1 unit lower (k x k). `routine` is Blas.trsm; l1 and b are addresses."""
    if k <= 0 or n <= 0:
        return
    _call_fortran(
        routine,
        (_L, _L, _N, _U, np.int32(k), np.int32(n), 1.0, np.int64(l1), np.int32(ldl), np.int64(b), np.int32(ldb)),
    )
