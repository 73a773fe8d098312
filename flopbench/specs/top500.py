"""The rows of a TOP500 list as systems. The lists changed their columns and units over the years; this understands them all.

Columns that matter, by any of their names: Rank, Name, Computer, Processor, Processor Generation or Technology or Family, Processor
Speed (MHz), Total Cores or Cores or Processors, accelerators and their cores, Rpeak. Rpeak is in GFLOPS unless its header says TFlop/s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flopbench.errors import BadInput

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


def systems(rows: Sequence[Sequence[str]], where: str) -> list[System]:
    """Every system in `rows`, the cells of the list called `where`, headings first. Raises BadInput if a column is missing."""
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    if not filled:
        raise BadInput(f"{where}: the list is empty")
    header = [re.sub(r"\s+", " ", name).strip().lower() for name in filled[0]]
    columns = {key: _column(header, key) for key in _COLUMNS}
    missing = [key for key in _REQUIRED if columns[key] is None]
    if missing:
        wanted = "; ".join(" or ".join(_COLUMNS[key]) for key in missing)
        raise BadInput(f"{where}: no TOP500 list: no column {wanted} (columns: {', '.join(header[:12])} ...)")
    rpeak = columns["rpeak"]
    scale = 1e12 if rpeak is not None and "tflop" in header[rpeak] else 1e9
    return [_system(row, columns, scale) for row in filled[1:]]


def _column(header: list[str], key: str) -> int | None:
    return next((header.index(name) for name in _COLUMNS[key] if name in header), None)


def _system(row: Sequence[str], columns: dict[str, int | None], scale: float) -> System:
    def text(key: str) -> str:
        index = columns[key]
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
