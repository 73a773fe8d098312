"""What an audit says: one finding per doubt, with the cells it is about."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: slip: cells contradict each other. doubt: possible, but not likely. note: one unit in the last place, or a cell used for something else.
GRAVITIES = ("slip", "doubt", "note")


@dataclass(frozen=True)
class Cell:
    """A cell as printed: where it stands, and its text."""

    document: str
    row: str
    column: str
    text: str


@dataclass(frozen=True)
class Finding:
    """`kind` is a stable word for programs; `apart` says how far the values are from each other, in words with units."""

    kind: str
    gravity: str
    cells: tuple[Cell, ...]
    message: str
    apart: str
    cause: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def number(value: float) -> str:
    """A figure for a message: enough digits to see the difference, none invented."""
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
