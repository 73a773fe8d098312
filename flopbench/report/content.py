"""What a report says, before it is known how: terminal, Markdown and HTML render these and add nothing."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """A heading, and whether its cells are numbers (set to the right)."""

    heading: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Cells are plain text from anywhere, a host name included: whoever renders them escapes them."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bar:
    """One rate in operations per second. `limit` is the measured ceiling of the same unit, if it is known; `colour` a number from 0."""

    label: str
    value: float
    unit: str
    limit: float | None = None
    colour: int = 0


@dataclass(frozen=True)
class Bars:
    """Rates side by side; bars start at zero."""

    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Line:
    """Rates in operations per second over a size, in order of the size. Equal colours belong together; `pattern` tells them apart."""

    label: str
    points: tuple[tuple[float, float], ...]
    colour: int = 0
    pattern: int = 0


@dataclass(frozen=True)
class Lines:
    """Rate over problem size."""

    title: str
    x_label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Section:
    """One machine's results, or one table about them."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Bars | Lines, ...] = ()


@dataclass(frozen=True)
class Report:
    """The whole of it. `results` come first, what they rest on after them."""

    title: str
    summary: tuple[str, ...]
    results: tuple[Section, ...]
    background: tuple[Section, ...] = field(default=())
