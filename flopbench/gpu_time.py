"""How long an LU takes on GPUs, from short runs: which sizes to run, and the time as a polynomial in N.

    t(N) = a N^3 + b N^2 + c N

a: the update; b: rows moved and panels read; c: what each column of a panel costs whatever its length, kernel launches above all.
On a GPU c rules where N is small: 30 us a column are longer than the update of N = 16384 at 50 TFLOP/s. Hockney's two-parameter form
cannot tell that from a rate that grows for ever, so the sizes grow here until they take a second, and none of a, b, c is below zero.

The short runs hardly show a, above all where look-ahead hides the update behind the panel. So where Rpeak is known a is no less than
Rpeak allows, 2/3 N^3 FLOP (flopbench.flops), and drawn towards DGEMM's usual share of it as far as the runs leave it open: the
coefficients are the likeliest ones, given times good to NOISE and an update whose rate is known to within RATE_KNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flopbench import units
from flopbench.plan import largest_within

DGEMM_SHARE = 0.83  # of Rpeak: 55.6 of 66.9 TFLOP/s on an H200 at n = 8192
RATE_KNOWN = 0.15
NOISE = 0.01

FIRST_N = 2048
FEWEST = 3  # sizes, to tell three terms apart
ENOUGH_S = 1.0  # no larger size is needed after a run as long as this,
ENOUGH_SHARE = 0.05  # or as this share of the time that the user gives for the timed runs
LONGEST_S = 2.0  # no size that is expected to take longer is run


@dataclass(frozen=True)
class GpuTimeModel:
    """t(N) = a N^3 + b N^2 + c N in seconds."""

    a: float
    b: float
    c: float

    @classmethod
    def fit(cls, seconds: Mapping[int, float], peak_flops: float | None = None) -> GpuTimeModel:
        """From the seconds of sizes N: least squares of the relative errors times N, so that the sizes nearest to the run count most.

        `peak_flops`: Rpeak of all GPUs together, None where unknown. Two sizes cannot tell three terms apart: they leave b out. One alone
        is read as a N^3, the slowest that it can mean.
        """
        from scipy.optimize import nnls

        n = np.array(sorted(seconds), dtype=float)
        t = np.array([seconds[int(size)] for size in n])
        size, x = n[-1], n / n[-1]  # in units of the largest size the coefficients are seconds
        least = 2.0 / 3.0 * size**3 / peak_flops if peak_flops else 0.0
        if len(n) == 1:
            return cls(float(max(least, t[0]) / size**3), 0.0, 0.0)
        square = x**2 if len(n) >= FEWEST else 0.0 * x
        rows = np.stack([x**3, square, x], axis=1) * (x / t)[:, None]
        sides = np.maximum(0.0, x - least * x**4 / t)
        if least:
            usual = least / DGEMM_SHARE
            drawn = NOISE / RATE_KNOWN / usual
            rows, sides = np.vstack([rows, [drawn, 0.0, 0.0]]), np.append(sides, drawn * (usual - least))
        beyond, b, c = nnls(rows, sides)[0]
        return cls(float((least + beyond) / size**3), float(b / size**2), float(c / size))

    def seconds(self, n: int) -> float:
        """Predicted time of factor and solve at N = n."""
        return ((self.a * n + self.b) * n + self.c) * n

    def largest_n(self, seconds: float) -> int:
        """The largest N that is predicted to take at most `seconds`; at least 1."""
        return largest_within(self.seconds, seconds)


@dataclass(frozen=True)
class Growth:
    """Which sizes the short runs have: doubled from FIRST_N until one is long enough to tell, or a limit is reached.

    `largest` and why there is none beyond (`bound`, in words); `time_s`: what the user gives for the timed runs.
    """

    largest: int
    bound: str
    time_s: float
    peak_flops: float | None = None

    @property
    def enough_s(self) -> float:
        return min(ENOUGH_S, ENOUGH_SHARE * self.time_s)

    def next(self, seconds: Mapping[int, float]) -> tuple[int | None, str]:
        """The size after those that took `seconds`, or None and why there is none, in words that follow "until"."""
        if not seconds:
            return min(FIRST_N, self.largest), ""
        last = max(seconds)
        if seconds[last] >= self.enough_s and len(seconds) >= FEWEST:
            return None, f"one took {units.duration(seconds[last])}"
        if last >= self.largest:
            return None, self.bound
        size = min(2 * last, self.largest)
        expected = self._expected(seconds, size)
        if expected > LONGEST_S:
            return None, f"the next would take {units.duration(expected)}"
        return size, ""

    def _expected(self, seconds: Mapping[int, float], n: int) -> float:
        if len(seconds) == 1:  # between N and N^3: most of the smallest run is no update
            return sum(t * (n / size) ** 2 for size, t in seconds.items())
        return GpuTimeModel.fit(seconds, self.peak_flops).seconds(n)

    def tells(self, seconds: Mapping[int, float]) -> bool:
        """Whether these runs say anything about much larger ones: `largest` did not cut them short."""
        last = max(seconds)
        return last < self.largest or seconds[last] >= self.enough_s
