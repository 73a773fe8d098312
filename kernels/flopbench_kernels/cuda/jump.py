"""Jump-ahead in HPL's random numbers on the host: what a kernel is told so that its threads can stride."""

from __future__ import annotations

MULTIPLIER = 6364136223846793005  # HPL 2.3, HPL_MULT0 and HPL_MULT1; the increment is 1
_MASK = 2**64 - 1


def jump(steps: int) -> tuple[int, int]:
    """(m, c) with X_{e + steps} = m X_e + c mod 2^64, in at most 64 squarings."""
    total = (1, 0)
    power = (MULTIPLIER, 1)
    while steps:
        if steps & 1:
            total = (power[0] * total[0] & _MASK, (power[0] * total[1] + power[1]) & _MASK)
        power = (power[0] * power[0] & _MASK, (power[0] * power[1] + power[1]) & _MASK)
        steps >>= 1
    return total
