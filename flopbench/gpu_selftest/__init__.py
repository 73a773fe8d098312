"""What the owner of a GPU runs once, `flopbench gpu-selftest`, and the stand-in for CUDA that replaces a GPU where there is none."""
