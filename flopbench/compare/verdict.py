"""What a comparison says: one of five words a metric, one exit code for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from flopbench.compare.estimate import Interval, change
from flopbench.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_OK, BadInput

Word = Literal["same", "faster", "slower", "inconclusive", "contaminated"]


@dataclass(frozen=True)
class MetricVerdict:
    """One metric of a comparison. Rates in FLOP/s or OP/s (`unit`); `interval` is of ln(head/base), None if there was none.

    n            pairs (or runs a side) that count; `dropped` were put aside, for the reasons listed
    failures     verifications that FAILED, in words: they outrank every rate
    noise_floor  the smallest slow-down that this comparison could have told from none
    """

    metric: str
    unit: str
    base_rate: float | None
    head_rate: float | None
    interval: Interval | None
    n: int
    dropped: list[str]
    word: Word
    reason: str
    failures: list[str] = field(default_factory=list)
    confirmation: Interval | None = None

    @property
    def noise_floor(self) -> float | None:
        return change(self.interval.half_width) if self.interval else None

    @property
    def exit_code(self) -> int:
        if self.failures or self.word == "slower":
            return EXIT_FAILED
        return EXIT_INCONCLUSIVE if self.word in ("inconclusive", "contaminated") else EXIT_OK

    def document(self) -> dict[str, Any]:
        """As JSON types; an infinite bound becomes null."""
        ratio = _ratios(self.interval)
        return {
            "metric": self.metric,
            "verdict": self.word,
            "reason": self.reason,
            "failures": self.failures,
            "unit": self.unit,
            "base_rate": self.base_rate,
            "head_rate": self.head_rate,
            "ratio": ratio,
            "confirmation": _ratios(self.confirmation),
            "noise_floor": self.noise_floor,
            "n": self.n,
            "dropped": self.dropped,
        }


def check_threshold(threshold: float) -> float:
    """A slow-down as a fraction, strictly between 0 and 1. Raises BadInput."""
    if not 0 < threshold < 1:
        raise BadInput(f"threshold {threshold}: a slow-down as a fraction between 0 and 1, e.g. 0.10 for 10 %")
    return threshold


def judge(interval: Interval, threshold: float) -> tuple[Word, str]:
    """The verdict on a regression of more than `threshold`, and its reason, from the interval alone.

    slower  the whole interval lies below 1 - threshold        faster  all above 1, and possibly beyond 1 / (1 - threshold)
    same    a slow-down by threshold is excluded, and not faster        inconclusive  the interval holds 1 - threshold
    """
    limit = math.log1p(-threshold)
    text = f"{100 * threshold:g} %"
    if interval.high < limit:
        return "slower", f"slower by more than {text}"
    if interval.low <= limit:
        if interval.low == -math.inf:
            return "inconclusive", f"too few runs for an interval of {interval.level:.1%}"
        return "inconclusive", f"a slow-down of {text} is neither shown nor excluded"
    if interval.low > 0 and interval.high > -limit:
        return "faster", "faster: the whole interval lies above 1"
    return "same", f"a slow-down of {text} is excluded"


def overall_exit_code(verdicts: list[MetricVerdict]) -> int:
    """1 if any metric is slower or failed, else 3 if any is open, else 0. No metric at all is an error, never a pass."""
    if not verdicts:
        raise BadInput("nothing was compared: no metric was measured on both sides")
    codes = {verdict.exit_code for verdict in verdicts}
    return next(code for code in (EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_OK) if code in codes)


def _ratios(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    ratio, low, high = interval.ratios()
    return {
        "estimate": ratio,
        "low": low if interval.low > -math.inf else None,
        "high": high if high < math.inf else None,
        "level": interval.level,
        "method": interval.method,
    }
