"""Energy of a run: meters, what they cover, and which level of the Energy Efficient HPC Working Group's method they reach."""
