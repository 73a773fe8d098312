"""Is the answer right? Checks that share nothing with the kernels that they judge."""
