"""Our own GEMM for CPUs: one packing and blocking, register micro-kernels by instruction set.

    microkernels    the table: which micro-kernel for which precision and instruction set
    micro_vector, micro_tiles           their code, as LLVM IR, from `instructions`
    panels          packing into panels, and the way back for tiles at the edge, as LLVM IR
    vector_ir       the vocabulary that those four are written in
    codegen         LLVM IR -> machine code in this process (or assembly for another processor, to look at)
    blocking        block sizes from cache sizes
    driver          the loops around the micro-kernel, compiled by Numba, run without the GIL
    team            the threads, asleep between products
    multiply        C = A B (+ C) on NumPy arrays, with a team of threads
    kernels         what the harness sees

The scheme is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008, with the
micro-kernel of Van Zee and van de Geijn, "BLIS", ACM TOMS 41(3), 2015: A is packed into panels of m_r rows, B into panels of n_r
columns, and a micro-kernel multiplies one panel of each into an m_r x n_r tile of C that stays in registers.
"""
