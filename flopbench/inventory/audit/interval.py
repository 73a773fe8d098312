"""Printed figures are intervals: what was meant lies within the rounding of the last printed place."""

from __future__ import annotations

from dataclasses import dataclass

from flopbench.inventory.exchange.numbers import Figure

_SLACK = 1e-9  # of a step: doubles of decimal figures are not exact


@dataclass(frozen=True)
class Interval:
    low: float
    high: float

    def __truediv__(self, other: Interval) -> Interval:
        return Interval(self.low / other.high, self.high / other.low)

    def meets(self, other: Interval) -> bool:
        """Whether they overlap; touching at a tie ("797" and "798" both from 797.5) does not count."""
        tie = 1e-6 * min(self.high - self.low, other.high - other.low)
        return self.low < other.high - tie and other.low < self.high - tie


def rounded(figure: Figure) -> Interval:
    """What a figure stands for if it was rounded to the nearest."""
    half = (0.5 + _SLACK) * figure.step
    return Interval(figure.value - half, figure.value + half)


def printed(figure: Figure) -> Interval:
    """What a figure stands for if it was rounded or cut off: people do either."""
    return Interval(figure.value - (0.5 + _SLACK) * figure.step, figure.value + (1 + _SLACK) * figure.step)
