"""Rates over time: a table per series with the steps found, and a picture by matplotlib."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from flopbench.errors import BadInput, CannotWrite, NotPossible
from flopbench.history import MIN_CHANGE, MIN_SEGMENT, Series, Step, histories
from flopbench.report.content import Column, Table
from flopbench.report.plots import ENDINGS
from flopbench.report.scale import rate_label
from flopbench.results import Record
from flopbench.units import percent, rate

_COLUMNS = (
    Column("run (UTC)"),
    Column("commit"),
    Column("best rate", numeric=True),
    Column("of ceiling", numeric=True),
    Column("of Rpeak", numeric=True),
    Column("step"),
)
_METHOD = (
    f"steps: best piecewise-constant fit (L1) of the logarithm, {MIN_SEGMENT} runs a piece at least, "
    f"changes of {percent(MIN_CHANGE)} or more"
)


def history(records: Sequence[Record]) -> list[Series]:
    """The series in `records`. Raises BadInput if no run has a rate."""
    found = histories(records)
    if not found:
        raise BadInput("no history: none of these records holds a verified rate")
    return found


def table(series: Series) -> Table:
    """All runs of a series in order of time; the step that begins at a run stands beside it."""
    steps = {step.index: step for step in series.steps}
    rows = tuple(_row(record, steps.get(index)) for index, record in enumerate(series.runs))
    return Table(series.metric, _COLUMNS, rows, (series.machine, _METHOD))


def terminal(found: Sequence[Series]) -> None:
    """Tables on stdout."""
    from rich.console import Console

    from flopbench.report.terminal import print_table

    for series in found:
        print_table(table(series), Console())


def markdown(found: Sequence[Series]) -> None:
    """Markdown on stdout."""
    from flopbench.report.markdown import escape, table_lines

    for series in found:
        sys.stdout.write("\n".join([f"## {escape(series.metric)}", "", *table_lines(table(series)), "", ""]))


def plot(found: Sequence[Series], path: Path) -> None:
    """One panel a series: the rates, the level of each piece, a line at each step. Raises BadInput, NotPossible, CannotWrite."""
    if path.suffix.lower() not in ENDINGS:
        raise BadInput(f"--plot {path}: the ending must be one of {', '.join(ENDINGS)}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NotPossible(f"--plot needs matplotlib ({error}); install it: pip install 'flopbench[plot]'") from error
    figure = Figure(figsize=(8.5, 2.8 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), 1, squeeze=False)
    for axes, series in zip(panels[:, 0], found, strict=True):
        _draw(axes, series)
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise CannotWrite(f"cannot write the plot to {path}: {error.strerror or error}") from error


def _row(record: Record, step: Step | None) -> tuple[str, ...]:
    shares = (record.efficiency.of_ceiling, record.efficiency.of_rpeak)
    return (
        _time(record).strftime("%Y-%m-%d %H:%M"),
        (record.flopbench.commit or "")[:8],
        rate(record.rmax_flops or 0.0, record.unit),
        *("" if share is None else percent(share) for share in shares),
        "" if step is None else f"{100 * step.change:+.1f} %",
    )


def _draw(axes: Any, series: Series) -> None:
    times = [_time(record) for record in series.runs]
    axes.plot(times, [record.rmax_flops for record in series.runs], "o", markersize=4, color="#0072b2")
    starts = [0, *(step.index for step in series.steps), len(times)]
    for step in series.steps:
        axes.axvline(times[step.index], color="#d55e00", linestyle="--", linewidth=1)
        label = f"{100 * step.change:+.1f} %"
        axes.annotate(label, (times[step.index], step.after), (4, 4), textcoords="offset points", color="#d55e00")
    for begin, end in itertools.pairwise(starts):
        level = _median(series, begin, end)
        axes.plot([times[begin], times[end - 1]], [level, level], color="black", linewidth=1)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: rate_label(value))
    axes.set_ylabel(series.unit)
    axes.set_title(f"{series.metric}: {series.machine}".replace("$", r"\$"), loc="left", fontsize=8)
    axes.grid(alpha=0.3)
    axes.tick_params(axis="x", labelrotation=20)


def _median(series: Series, begin: int, end: int) -> float:
    return median(record.rmax_flops for record in series.runs[begin:end] if record.rmax_flops is not None)


def _time(record: Record) -> datetime:
    return datetime.fromisoformat(record.time_start_utc)
