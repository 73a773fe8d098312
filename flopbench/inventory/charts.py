"""Scatter plots as inline SVG: no script, no network, the same on paper. All text that comes from data is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 12, 34


@dataclass(frozen=True)
class Dot:
    """One machine: where it stands, how its rate is known (a CSS class), and what a pointer over it shows."""

    x: float
    y: float
    kind: str
    title: str


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high`; `ticks` are its marked values with their labels."""

    low: float
    high: float
    log: bool
    ticks: Sequence[tuple[float, str]]

    def at(self, value: float) -> float:
        """Where on the axis, from 0 to 1."""
        if self.log:
            return (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return (value - self.low) / (self.high - self.low)


def decades(values: Sequence[float], prefixes: bool = True) -> Axis:
    """A logarithmic axis of whole decades around `values`; at most seven labels."""
    low = math.floor(math.log10(min(values)))
    high = max(low + 1, math.ceil(math.log10(max(values))))
    step = math.ceil((high - low) / 6)
    marks = range(low, high + 1, step)
    return Axis(10.0**low, 10.0**high, True, [(10.0**m, _power(m) if prefixes else f"{10.0**m:g}") for m in marks])


def linear(low: float, high: float, step: float, suffix: str = "") -> Axis:
    """A linear axis with a mark every `step`."""
    count = round((high - low) / step)
    return Axis(low, high, False, [(low + i * step, f"{low + i * step:g}{suffix}") for i in range(count + 1)])


def years(values: Sequence[float]) -> Axis:
    """Whole years, at most eight labels."""
    low, high = math.floor(min(values)) - 1, math.ceil(max(values)) + 1
    step = max(1, math.ceil((high - low) / 7))
    return linear(low, low + step * math.ceil((high - low) / step), step)


def scatter(dots: Sequence[Dot], x: Axis, y: Axis, label: str, diagonal: bool = False) -> str:
    """The plot as an <svg>; `diagonal` draws the line where both axes have the same value."""
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    for value, text in x.ticks:
        px = _x(x.at(value))
        anchor = "end" if px > WIDTH - _RIGHT - 18 else "middle"
        parts.append(f'<line class="axis" x1="{px:.1f}" x2="{px:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text x="{px:.1f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{escape(text)}</text>')
    for value, text in y.ticks:
        py = _y(y.at(value))
        parts.append(f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{py:.1f}" y2="{py:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{py + 4.5:.1f}" text-anchor="end">{escape(text)}</text>')
    if diagonal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        if low < high:
            ends = (_x(x.at(low)), _y(y.at(low)), _x(x.at(high)), _y(y.at(high)))
            parts.append('<line class="diagonal" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'.format(*ends))
    order = {"listed": 0, "foreign": 1, "verified": 2}  # the better proven on top
    for dot in sorted(dots, key=lambda d: order[d.kind]):
        place = f'cx="{_x(x.at(dot.x)):.1f}" cy="{_y(y.at(dot.y)):.1f}"'
        parts.append(f'<circle class="{dot.kind}" {place} r="4"><title>{escape(dot.title)}</title></circle>')
    parts.append("</svg>")
    return "".join(parts)


def _x(part: float) -> float:
    return _LEFT + part * (WIDTH - _LEFT - _RIGHT)


def _y(part: float) -> float:
    return HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM)


def _power(exponent: int) -> str:
    """10^exponent with an SI prefix: 13 is "10T"."""
    for base, prefix in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if exponent >= base:
            return f"{10 ** (exponent - base)}{prefix}"
    return f"{10.0**exponent:g}"
