"""CUDA without a GPU: the calls that flopbench makes, with the same signatures, carried out on host memory.

    memory      device and pinned memory, every access checked against its bounds
    schedule    streams and events: operations run at once, as late as allowed, or in some allowed order; vector clocks find races
    blas        cublas and cusolver by the processor's BLAS and LAPACK
    blas_lt     cublasLt for FP8 products
    runtime     copies
    nccl        messages between stand-ins that run as threads
    compiled    our CUDA kernels through the host's C++ compiler
    libraries   all of it behind flopbench_kernels.cuda.libraries.Libraries

It proves addresses, leading dimensions, flags, scalars, order of arguments and numbers. It cannot prove that cuBLAS accepts a call, nor
speed.
"""
