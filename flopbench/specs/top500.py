"""A TOP500 list as a table of systems. The lists changed their columns, units and encodings over the years; this reads them all.

Columns that matter, by any of their names: Rank, Name, Computer, Processor, Processor Generation or Technology or Family, Processor
Speed (MHz), Total Cores or Cores or Processors, accelerators and their cores, Rpeak. Rpeak is in GFLOPS unless its header says TFlop/s.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from flopbench.errors import BadInput

_SEPARATORS = ":;\t,"
_NONE = {"", "none", "n/a"}
_COLUMNS = {
    "rank": ("rank",),
    "name": ("name",),
    "computer": ("computer",),
    "processor": ("processor",),
    "generation": ("processor generation", "processor technology", "processor family"),
    "mhz": ("processor speed (mhz)", "proc. frequency"),
    "cores": ("total cores", "cores", "processors", "proc."),
    "accelerator": ("accelerator/co-processor", "accelerator"),
    "accelerator_cores": ("accelerator/co-processor cores", "accelerator cores"),
    "rpeak": ("rpeak", "rpeak [tflop/s]", "rpeak [gflop/s]", "rpeak (tflop/s)"),
}
_REQUIRED = ("rank", "processor", "mhz", "cores", "rpeak")


@dataclass(frozen=True)
class System:
    """One entry of a list. `rpeak_flops` in FLOP/s, `clock_ghz` as the list prints it; `problem` says which number cannot be read."""

    rank: int
    name: str
    computer: str
    processor: str
    generation: str
    cores: int
    clock_ghz: float
    rpeak_flops: float
    accelerator: str
    accelerator_cores: int
    problem: str = ""

    @property
    def has_accelerator(self) -> bool:
        """Whether the list gives an accelerator or co-processor, or cores of one."""
        return self.accelerator.strip().lower() not in _NONE or self.accelerator_cores > 0


def read(path: Path) -> list[System]:
    """Every system of the list in `path`. Raises BadInput: unreadable, or a column is missing."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read the list {path}: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("iso-8859-1")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise BadInput(f"{path}: the list is empty")
    separator = max(_SEPARATORS, key=lines[0].count)
    rows = [_fields(line, separator) for line in lines]
    header = [re.sub(r"\s+", " ", name).strip().lower() for name in rows[0]]
    where = {key: _column(header, key) for key in _COLUMNS}
    missing = [key for key in _REQUIRED if where[key] is None]
    if missing:
        wanted = "; ".join(" or ".join(_COLUMNS[key]) for key in missing)
        raise BadInput(f"{path}: no TOP500 list: no column {wanted} (columns: {', '.join(header[:12])} ...)")
    column = where["rpeak"]
    scale = 1e12 if column is not None and "tflop" in header[column] else 1e9
    return [_system(row, where, scale) for row in rows[1:]]


def _fields(line: str, separator: str) -> list[str]:
    """Fields of one line. A quote that is never closed spoils its own line only."""
    return next(csv.reader([line], delimiter=separator), [])


def _column(header: list[str], key: str) -> int | None:
    return next((header.index(name) for name in _COLUMNS[key] if name in header), None)


def _system(row: list[str], where: dict[str, int | None], scale: float) -> System:
    def text(key: str) -> str:
        index = where[key]
        return row[index].strip() if index is not None and index < len(row) else ""

    problems = []

    def number(key: str) -> float:
        value = text(key).replace(",", "")
        try:
            return float(value or 0)
        except ValueError:
            problems.append(f"{key} is {value!r}")
            return 0.0

    cores, mhz, rpeak, rank = number("cores"), number("mhz"), number("rpeak"), number("rank")
    accelerator_cores = number("accelerator_cores")
    problems += [f"no {key}" for key, value in (("cores", cores), ("mhz", mhz), ("rpeak", rpeak)) if not value > 0]
    return System(
        rank=int(rank),
        name=text("name"),
        computer=text("computer"),
        processor=text("processor"),
        generation=text("generation"),
        cores=int(cores),
        clock_ghz=mhz / 1000,
        rpeak_flops=rpeak * scale,
        accelerator=text("accelerator"),
        accelerator_cores=int(accelerator_cores),
        problem="; ".join(problems),
    )
