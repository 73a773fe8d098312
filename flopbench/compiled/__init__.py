"""Compiled loops of the harness: the only folder of flopbench that imports Numba. Import it inside functions, never at module level."""
