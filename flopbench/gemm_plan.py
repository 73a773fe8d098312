"""The choices of a GEMM sweep, as pure functions: which sizes, how long each may take, how many buffers the operands rotate among."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from flopbench.flops import gemm_flops
from flopbench.machine.model import Machine
from flopbench.precision import precision
from flopbench.results import PlanLine

DEFAULT_SECONDS = 90.0
SIZES = (256, 512, 1024, 2048, 4096, 8192, 16384)
PROBE_N = 256
RUNS_PER_CASE = 6  # what a size costs at least, in runs: a warm-up and five repeats
CHECKS_GROW = 2.3  # by so much when n doubles, with generating; 2.1 to 2.5 times on an H200, at most 4 (n^2)
PLATEAU = 1.03  # two doublings in a row that gain less than this: larger sizes show nothing new
SHARE_GROWS = 3  # of the time of a kernel, from a size to the next
LEAST_S, LEAST_SHARE = 0.3, 0.015  # for a size, of whatever time is left, if what the next one needs is left
SHARE_OF_LAST = 0.9  # of the time left for a kernel, for its last size; generating takes the rest
MAX_BUFFERS = 16


@dataclass(frozen=True)
class Shape:
    """m x n x k of one product."""

    m: int
    n: int
    k: int

    @property
    def flops(self) -> float:
        return gemm_flops(self.m, self.n, self.k)

    def __str__(self) -> str:
        return str(self.n) if self.m == self.n == self.k else f"{self.m}x{self.n}x{self.k}"


def shapes(n: Sequence[int], m: int | None, k: int | None) -> list[Shape]:
    """The sizes asked for, or the default sweep; m and k are n unless given."""
    return [Shape(m or size, size, k or size) for size in (n or SIZES)]


def needed_s(shape: Shape, rate: float, before: Shape | None = None, aside_s: float = 0.0) -> float:
    """Seconds that a default size takes at least: its runs at `rate` operations a second, and what is not run.

    `aside_s` is how long generating and checking took for the size `before`.
    """
    doublings = math.log2(shape.m * shape.n / (before.m * before.n)) / 2 if before else 0.0
    return RUNS_PER_CASE * shape.flops / rate + aside_s * CHECKS_GROW**doublings


def budget_s(
    shapes: Sequence[Shape], rate: float, left_s: float, before: Shape | None = None, aside_s: float = 0.0
) -> float:
    """Of the time left, what the first of `shapes` may use: each size a third of what the next gets, as many as fit at `rate`.

    The largest sizes are what a sweep is for: they show the plateau. So what the next size needs is left to it, too, but for the runs that
    this one needs itself. `before`, `aside_s`: as in `needed_s`.
    """
    sizes = max(1, sum(needed_s(shape, rate) <= left_s for shape in shapes))
    if sizes == 1:
        return SHARE_OF_LAST * left_s
    share = left_s * (SHARE_GROWS - 1) / (SHARE_GROWS**sizes - 1)
    free = left_s - needed_s(shapes[1], rate, before, aside_s)
    return max(needed_s(shapes[0], rate), min(max(share, min(LEAST_S, LEAST_SHARE * left_s)), free))


def on_plateau(rates: Sequence[float]) -> bool:
    """Whether the last two steps of a sweep gained almost nothing."""
    return len(rates) >= 3 and all(
        later < PLATEAU * earlier for earlier, later in zip(rates[-3:-1], rates[-2:], strict=True)
    )


def buffers(shape: Shape, precision_name: str, machine: Machine, rotate: bool) -> PlanLine:
    """Among how many copies of the operands the repeats rotate, so that none finds its own in the last cache level."""
    if not rotate:
        return PlanLine(
            choice="buffers", value="1", reason="operands stay where they are; --rotate changes them each run"
        )
    last = max((cache.bytes for cache in machine.cpu.caches if cache.kind != "instruction"), default=0)
    if last == 0:
        return PlanLine(choice="buffers", value="2", reason="the size of the caches is not known")
    item = precision(precision_name).operand_bytes
    footprint = item * (shape.m * shape.k + shape.k * shape.n) + max(item, 4) * shape.m * shape.n
    count = min(MAX_BUFFERS, 2 * last // footprint + 1)
    if count == 1:
        return PlanLine(choice="buffers", value="1", reason="one set of operands is larger than twice the last cache")
    return PlanLine(
        choice="buffers", value=str(count), reason=f"together more than twice the last cache of {last >> 20} MiB"
    )
