"""What can be known of NVIDIA GPUs without computing on them: may one be used, which one, what would spoil a measurement, and NVML.

Part of the ground floor: depends on flopbench.errors only, so that kernels may ask too. Imports CuPy and NVML only inside functions.
"""
