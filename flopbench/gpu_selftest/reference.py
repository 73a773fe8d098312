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
    """The operand that the kernel fill_<kind> of sources/operands.cu writes; float16 and bfloat16 as their bits, uint16; e4m3, uint8."""
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
    if kind == "e4m3":
        return truncated_e4m3(single)
    return truncated_half(single)


def weighed(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """x @ values in float64, added in the order of check.cu: every 32nd row into one lane, then the lanes."""
    lanes = np.zeros((32, x.shape[0], values.shape[1]))
    for i in range(values.shape[0]):
        lanes[i % 32] += np.outer(x[:, i], values[i])
    total = np.zeros(lanes.shape[1:])
    for lane in lanes:
        total += lane
    return total


def truncated_half(single: np.ndarray) -> np.ndarray:
    """float32 cut to float16 towards zero, as bits; below the least normal half (2^-14) zero."""
    half = single.astype(np.float16)
    too_far = np.abs(half.astype(np.float32)) > np.abs(single)
    half = np.where(too_far, np.nextafter(half, np.float16(0)), half).astype(np.float16)
    return np.where(np.abs(single) < 2.0**-14, np.float16(0), half).astype(np.float16).view(np.uint16)


def truncated_e4m3(single: np.ndarray) -> np.ndarray:
    """float32 below 448 in size cut to FP8 (E4M3) towards zero, as bits: the largest of its 127 sizes that is not larger."""
    pattern = np.arange(127)
    sizes = np.where(pattern < 8, pattern * 2.0**-9, (8 + (pattern & 7)) * 2.0 ** ((pattern >> 3) - 10.0))
    bits = np.searchsorted(sizes, np.abs(single), side="right") - 1
    return (bits + 128 * np.signbit(single)).astype(np.uint8)
