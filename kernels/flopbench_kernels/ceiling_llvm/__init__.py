"""Register-resident loops for the measured ceiling, written in LLVM's language and compiled on the user's machine by llvmlite.

llvmlite is the LLVM inside Numba. Used directly it compiles a loop in milliseconds, its calls through ctypes release the interpreter's
lock, and the text that runs here is the text whose assembly the tests check for processors that are not at hand.
"""

from flopbench_kernels.ceiling_llvm.table import loops

__all__ = ["loops"]
