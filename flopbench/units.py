"""Formatting of quantities: SI base units inside, people's units in print. The only place that converts."""

from __future__ import annotations

import math

_SI = [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
_BINARY = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]


def si(value: float, unit: str, digits: int = 4) -> str:
    """`value` with an SI prefix and `digits` significant digits: si(8.71e10, "FLOPS") is "87.10 GFLOPS"."""
    if not math.isfinite(value):
        return f"{value} {unit}"
    scale, prefix = next(((s, p) for s, p in _SI if abs(value) >= s), (1.0, ""))
    scaled = value / scale
    whole = len(str(int(abs(scaled))))
    return f"{scaled:.{max(0, digits - whole)}f} {prefix}{unit}"


def rate(flops: float, unit: str = "FLOP/s") -> str:
    """A rate as people say it: FLOP/s becomes GFLOPS, TFLOPS ...; OP/s (integers) becomes GOPS, TOPS ..."""
    return si(flops, {"FLOP/s": "FLOPS", "OP/s": "OPS"}[unit])


def size(nbytes: float) -> str:
    """Bytes with a binary prefix: size(2048) is "2.00 KiB"."""
    for scale, unit in _BINARY:
        if abs(nbytes) >= scale:
            return f"{nbytes / scale:.2f} {unit}"
    return f"{int(nbytes)} B"


def duration(seconds: float) -> str:
    """Seconds as people say them: "85 ms", "12.3 s", "4 min 05 s", "3 h 12 min"."""
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 119.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def percent(fraction: float) -> str:
    """A fraction in percent with one decimal: percent(0.9123) is "91.2 %"."""
    return f"{fraction * 100:.1f} %"
