"""Charts as inline SVG: no script, no font, no network. Colours come from the page's style sheet, by class, for light, dark and print."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from flopbench.report.content import Bar, Bars, Line, Lines
from flopbench.report.scale import is_log, linear_ticks, log_ticks, rate_label
from flopbench.units import percent, rate

WIDTH = 720
_COLOURS = 8  # classes c0 .. c7 of the style sheet
_PATTERNS = 4  # classes d0 .. d3
_BAR = 26  # height of one bar with its gap
_LABEL_WIDTH = 190
_RIGHT = 110  # room for a rate behind the longest bar


def chart(content: Bars | Lines) -> str:
    """The SVG of a chart, with title and description for those who cannot see it."""
    return _bars(content) if isinstance(content, Bars) else _lines(content)


def _bars(content: Bars) -> str:
    top = max(max(bar.value, bar.limit or 0.0) for bar in content.bars)
    ticks = linear_ticks(top)
    span = WIDTH - _LABEL_WIDTH - _RIGHT
    height = 30 + _BAR * len(content.bars) + 44
    x = _linear(0.0, ticks[-1], _LABEL_WIDTH, _LABEL_WIDTH + span)
    bottom = 30 + _BAR * len(content.bars) + 4
    parts = [f'<line class="grid" x1="{x(t):.1f}" y1="26" x2="{x(t):.1f}" y2="{bottom}"/>' for t in ticks]
    parts += [_text(x(t), bottom + 16, rate_label(t), "tick", "middle") for t in ticks]
    axis = "operations per second" + ("; upright line: measured ceiling" if any(b.limit for b in content.bars) else "")
    parts.append(_text(_LABEL_WIDTH + span / 2, bottom + 34, axis, "tick", "middle"))
    for place, bar in enumerate(content.bars):
        parts += _bar(bar, 30 + _BAR * place, x)
    words = "; ".join(f"{bar.label}: {rate(bar.value, bar.unit)}" for bar in content.bars)
    return _svg(content.title, words, height, parts)


def _bar(bar: Bar, y: float, x: Callable[[float], float]) -> list[str]:
    thickness = _BAR - 8
    colour = bar.colour % _COLOURS
    share = f" ({percent(bar.value / bar.limit)} of the ceiling {rate(bar.limit, bar.unit)})" if bar.limit else ""
    parts = [
        _text(_LABEL_WIDTH - 8, y + thickness - 4, bar.label, "label", "end"),
        f'<rect class="c{colour} bar" x="{x(0):.1f}" y="{y}" width="{max(0.5, x(bar.value) - x(0)):.1f}" height="{thickness}">'
        f"<title>{escape(f'{bar.label}: {rate(bar.value, bar.unit)}{share}')}</title></rect>",
    ]
    if bar.limit:
        at = x(bar.limit)
        parts.append(f'<line class="limit" x1="{at:.1f}" y1="{y - 3}" x2="{at:.1f}" y2="{y + thickness + 3}"/>')
    end = max(x(bar.value), x(bar.limit)) if bar.limit and x(bar.limit) - x(bar.value) < 90 else x(bar.value)
    parts.append(_text(end + 6, y + thickness - 4, rate(bar.value, bar.unit), "value", "start"))
    return parts


def _lines(content: Lines) -> str:
    points = [point for line in content.lines for point in line.points]
    ns, values = sorted({n for n, _ in points}), [v for _, v in points]
    left, right, top, bottom = 70, WIDTH - 24, 26, 300
    log_y = is_log(values)
    ticks = log_ticks(min(values), max(values)) if log_y else linear_ticks(max(values))
    y = _logarithmic(ticks[0], ticks[-1], bottom, top) if log_y else _linear(0.0, ticks[-1], bottom, top)
    x = _logarithmic(ns[0], ns[-1], left + 16, right - 16)
    parts = [f'<line class="grid" x1="{left}" y1="{y(t):.1f}" x2="{right}" y2="{y(t):.1f}"/>' for t in ticks]
    parts += [_text(left - 8, y(t) + 4, rate_label(t), "tick", "end") for t in ticks]
    parts += [_text(x(n), bottom + 18, f"{n:g}", "tick", "middle") for n in _apart(ns, x)]
    scale = ", logarithmic" if log_y else ""
    parts.append(
        _text((left + right) / 2, bottom + 36, f"{content.x_label}; operations per second{scale}", "tick", "middle")
    )
    for line in content.lines:
        path = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in line.points)
        parts.append(f'<polyline class="{_classes(line)}" points="{path}"/>')
        for n, v in line.points:
            title = f"<title>{escape(f'{line.label}, n = {n:g}: {rate_label(v, 4)} operations/s')}</title>"
            dot = f'<circle class="c{line.colour % _COLOURS} dot" cx="{x(n):.1f}" cy="{y(v):.1f}" r="4">'
            parts.append(f"{dot}{title}</circle>")
    parts += _legend(content.lines, left, bottom + 60)
    words = "; ".join(
        f"{line.label}: " + ", ".join(f"{n:g} {rate_label(v, 4)}" for n, v in line.points) for line in content.lines
    )
    return _svg(content.title, words, bottom + 60 + 22 * math.ceil(len(content.lines) / 3), parts)


def _legend(lines: Sequence[Line], left: float, y: float) -> list[str]:
    parts = []
    for place, line in enumerate(lines):
        column, row = place % 3, place // 3
        at_x, at_y = left + column * 215, y + 22 * row
        end = at_x + 26
        parts.append(f'<line class="{_classes(line)}" x1="{at_x}" y1="{at_y - 4}" x2="{end}" y2="{at_y - 4}"/>')
        parts.append(_text(end + 6, at_y, line.label, "label", "start"))
    return parts


def _classes(line: Line) -> str:
    return f"c{line.colour % _COLOURS} line d{line.pattern % _PATTERNS}"


def _apart(ns: list[float], x: Callable[[float], float]) -> list[float]:
    """Those of the sizes that leave each other 44 pixels for their labels; the largest is always among them."""
    kept: list[float] = []
    for n in reversed(ns):
        if not kept or x(kept[-1]) - x(n) >= 44:
            kept.append(n)
    return kept


def _linear(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _logarithmic(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    if low == high:
        return lambda value: (start + end) / 2
    return lambda value: start + math.log(value / low) / math.log(high / low) * (end - start)


def _text(x: float, y: float, words: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(title: str, words: str, height: float, parts: list[str]) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" xmlns="http://www.w3.org/2000/svg">'
    name = f"<title>{escape(title)}</title><desc>{escape(words)}</desc>"
    return head + name + _text(0, 14, title, "heading", "start") + "".join(parts) + "</svg>"
