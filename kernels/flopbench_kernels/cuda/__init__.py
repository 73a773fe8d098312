"""CUDA through CuPy: the raw calls, the rules they must keep, and our own kernels. Importable without CuPy.

constants   the numbers behind the names of cuBLAS, cuSOLVER and the runtime
rules       what cuBLAS documents about a call, checked before the call is made
libraries   the one place that imports CuPy; tests and the self-test put other libraries in its place
context     one GPU: streams with their own handles, copies, products, kernel launches; errors as one line
sources/    our CUDA kernels, in CUDA C++
"""
