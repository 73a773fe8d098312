"""What our CUDA kernels must give, bit for bit, written a second time in NumPy."""

from __future__ import annotations

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))


def mixed(seed: int, rows: int, cols: int) -> np.ndarray:
    """SplitMix64 of (seed, i + j rows), shape (rows, cols), uint64."""
    counter = np.arange(rows * cols, dtype=np.uint64).reshape(cols, rows).T
    z = np.uint64(seed) + (counter + np.uint64(1)) * _GOLDEN
    for shift, factor in _MIX:
        z = (z ^ (z >> shift)) * factor
    return z ^ (z >> np.uint64(31))


def operand(kind: str, seed: int, rows: int, cols: int) -> np.ndarray:
    """The operand that the kernel fill_<kind> of sources/operands.cu writes; float16 and bfloat16 as their bits, uint16."""
    z = mixed(seed, rows, cols)
    if kind == "float64":
        return ((z >> np.uint64(11)).astype(np.int64) - 2**52).astype(np.float64) * 2.0**-53
    if kind in ("int8", "int32"):
        span, low = (255, 127) if kind == "int8" else (2001, 1000)
        return (((z >> np.uint64(32)) * np.uint64(span) >> np.uint64(32)).astype(np.int64) - low).astype(kind)
    single = ((z >> np.uint64(40)).astype(np.int64) - 2**23).astype(np.float32) * np.float32(2.0**-24)
    if kind == "float32":
        return single
    bits = single.view(np.uint32)
    if kind == "bfloat16":
        return (bits >> np.uint32(16)).astype(np.uint16)
    return truncated_half(single)


def truncated_half(single: np.ndarray) -> np.ndarray:
    """float32 cut to float16 towards zero, as bits; below the least normal half (2^-14) zero."""
    half = single.astype(np.float16)
    too_far = np.abs(half.astype(np.float32)) > np.abs(single)
    half = np.where(too_far, np.nextafter(half, np.float16(0)), half).astype(np.float16)
    return np.where(np.abs(single) < 2.0**-14, np.float16(0), half).astype(np.float16).view(np.uint16)
