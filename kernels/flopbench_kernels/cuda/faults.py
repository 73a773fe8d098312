"""Errors of CUDA, cuBLAS, cuSOLVER and NVRTC as one line: the call, the shape, the status."""

from __future__ import annotations

from flopbench.errors import NotPossible, RunFailed


class CudaFault(RunFailed):
    """A call that a CUDA library refused, or an earlier one that failed and shows up now."""


class OutOfDeviceMemory(NotPossible, MemoryError):
    """The GPU cannot hold what was asked for. The pool has been freed."""


def fault(call: str, error: Exception) -> CudaFault:
    """`error` of a CUDA library during `call` (with its shape), in one line.

    CuPy's exceptions carry the status number and, in their text, its name. An error of an earlier asynchronous operation surfaces at
    whatever call comes next, hence the second half of the sentence.
    """
    status = getattr(error, "status", None)
    text = " ".join(str(error).split()) or type(error).__name__
    number = f" (status {status})" if status is not None and str(status) not in text else ""
    return CudaFault(f"{call} failed: {text}{number}; this call, or an earlier one on the same GPU")
