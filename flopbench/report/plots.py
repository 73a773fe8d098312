"""The charts of a report as a picture file, by matplotlib: PNG, SVG or PDF by the file's ending."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flopbench.errors import BadInput, CannotWrite, NotPossible
from flopbench.report.content import Bars, Lines
from flopbench.report.scale import is_log, rate_label
from flopbench.units import rate

ENDINGS = (".pdf", ".png", ".svg")
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b5639a", "#b58900", "#3a9bd4", "#6b4fbb", "#7a5c3e")
_MARKERS = "osD^"
_STYLES = ("-", "--", ":", "-.")
_LABEL_SHARE = 0.15  # of the axis: what the label of a bar takes, which an upright line must not cross
_WIDTH_INCHES = 8.5


def require(path: Path) -> None:
    """Raises BadInput for an ending that stands for no format, NotPossible without matplotlib."""
    if path.suffix.lower() not in ENDINGS:
        raise BadInput(f"--plot {path}: the ending must be one of {', '.join(ENDINGS)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise NotPossible(f"--plot needs matplotlib ({error}); install it: pip install 'flopbench[plot]'") from error


def save(charts: Sequence[Bars | Lines], title: str, path: Path) -> None:
    """Draw `charts` below each other into the file at `path`. Raises BadInput, NotPossible (no matplotlib), CannotWrite."""
    require(path)
    if not charts:
        raise BadInput("--plot: there is nothing to draw, since no run passed its check")
    from matplotlib.figure import Figure

    heights = [0.9 + 0.36 * len(chart.bars) if isinstance(chart, Bars) else 4.2 for chart in charts]
    figure = Figure(figsize=(_WIDTH_INCHES, sum(heights) + 0.8), layout="constrained")
    figure.suptitle(title.replace("$", r"\$"), fontsize=12)
    panels = figure.subplots(len(charts), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, chart in zip(panels[:, 0], charts, strict=True):
        (_draw_bars if isinstance(chart, Bars) else _draw_lines)(axes, chart)
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise CannotWrite(f"cannot write the plot to {path}: {error.strerror or error}") from error


def _draw_bars(axes: Any, chart: Bars) -> None:
    places = range(len(chart.bars))
    values = [bar.value for bar in chart.bars]
    top = 1.2 * max(max(values), *(bar.limit or 0.0 for bar in chart.bars))
    axes.barh(places, values, color=[_COLOURS[bar.colour % len(_COLOURS)] for bar in chart.bars], height=0.7)
    for place, bar in enumerate(chart.bars):
        end = bar.value
        if bar.limit:
            axes.plot([bar.limit, bar.limit], [place - 0.45, place + 0.45], color="black", linewidth=2)
            if bar.value <= bar.limit < bar.value + _LABEL_SHARE * top:
                end = bar.limit
        axes.annotate(
            rate(bar.value, bar.unit), (end, place), (5, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.set_yticks(places, [_plain(bar.label) for bar in chart.bars])
    axes.invert_yaxis()
    axes.set_xlim(0, top)
    axes.xaxis.set_major_formatter(lambda value, _: rate_label(value))
    limits = " (black line: measured ceiling)" if any(bar.limit for bar in chart.bars) else ""
    axes.set_xlabel(f"operations per second{limits}")
    axes.set_title(_plain(chart.title), loc="left")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _draw_lines(axes: Any, chart: Lines) -> None:
    for line in chart.lines:
        xs, ys = zip(*line.points, strict=True)
        pattern = line.pattern % len(_MARKERS)
        axes.plot(
            xs,
            ys,
            label=_plain(line.label),
            color=_COLOURS[line.colour % len(_COLOURS)],
            marker=_MARKERS[pattern],
            linestyle=_STYLES[pattern],
        )
    values = [value for line in chart.lines for _, value in line.points]
    sizes = sorted({n for line in chart.lines for n, _ in line.points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{n:g}" for n in sizes], rotation=45 if len(sizes) > 8 else 0)
    axes.xaxis.set_minor_locator(_no_ticks())
    if is_log(values):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: rate_label(value))
    axes.set_xlabel(_plain(chart.x_label))
    axes.set_ylabel("operations per second")
    axes.set_title(_plain(chart.title), loc="left")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _plain(text: str) -> str:
    """Text from a record is never read as matplotlib's mathematics."""
    return text.replace("$", r"\$")
