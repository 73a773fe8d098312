"""Axes: where ticks go and what they say. Shared by the charts in the page and the plots in files."""

from __future__ import annotations

import math
from collections.abc import Sequence

from flopbench.units import si

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
LOG_FROM_RATIO = 20.0  # lines further apart than this are drawn on a logarithmic axis, said so at the axis


def is_log(values: Sequence[float]) -> bool:
    """Whether these rates need a logarithmic axis to be seen at all."""
    return min(values) > 0 and max(values) / min(values) > LOG_FROM_RATIO


def linear_ticks(top: float, about: int = 5) -> list[float]:
    """Round numbers from 0 to at least `top`, about that many steps."""
    if not (math.isfinite(top) and top > 0):
        return [0.0, 1.0]
    raw = top / about
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(s * magnitude for s in _STEPS if s * magnitude >= raw * (1 - 1e-9))
    return [i * step for i in range(math.ceil(top / step - 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten that enclose [low, high]."""
    return [10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high) - 1e-12) + 1)]


def rate_label(value: float, digits: int = 3) -> str:
    """A tick in operations per second, with as few digits as it needs: 250 G, 1 T."""
    if value == 0:
        return "0"
    number, prefix = si(value, "", digits).split(" ")
    return f"{float(number):g} {prefix}".strip()
