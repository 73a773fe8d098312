"""Numbers as people write them in tables: thousands separators, full-width digits, units beside the figure, "-" for none."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass

#: What stands for "no figure". A 0 in a field that cannot be 0 is treated so by its form.
BLANKS = {"", "-", "--", "—", "–", "－", "n/a", "na", "none", "null", "無", "不詳", "未公開", "...", "…"}

_NUMBER = re.compile(
    r"^(?P<figure>[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:e[-+]?\d{1,4})?|[-+]?\.\d+)\s*(?P<unit>.*)$", re.I
)

#: Units that may stand in a cell or a heading, to SI. "kw" and "KW" occur, case is folded.
RATES = {
    "kflops": 1e3,
    "mflops": 1e6,
    "gflops": 1e9,
    "tflops": 1e12,
    "pflops": 1e15,
    "eflops": 1e18,
    "tops": 1e12,
    "pops": 1e15,
}
POWERS = {"w": 1.0, "kw": 1e3, "mw": 1e6}
LARGEST = 1e24  # a million times the largest system there is; beyond it a figure is not a rate


@dataclass(frozen=True)
class Figure:
    """A number and how finely it was printed: `step` is one unit in its last place. `unit` is what stood behind it, as written."""

    value: float
    step: float
    unit: str = ""

    def scaled(self, factor: float) -> Figure:
        """In another unit; 4.35 P is 4.35e15, not the 4349999999999999.5 that the product of doubles is."""
        return Figure(float(f"{self.value * factor:.15g}"), self.step * factor, self.unit)


def figure(text: str) -> Figure | None:
    """The number at the start of `text`; None where nothing was given. Raises ValueError: what it says instead."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if plain.casefold() in BLANKS:
        return None
    found = _NUMBER.match(plain)
    if found is None:
        raise ValueError(f"{text[:60]!r} is not a number")
    digits = found["figure"].replace(",", "")
    value = float(digits)
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ValueError(f"{text[:60]!r} is beyond any quantity of a computer")
    mantissa, _, exponent = digits.lower().partition("e")
    return Figure(value, 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])), found["unit"].strip())


def quantity(text: str, units: dict[str, float], default: float | None) -> Figure | None:
    """A positive quantity in SI; its own unit counts before the heading's (`default`). Raises ValueError."""
    found = figure(text)
    if found is None:
        return None
    factor = default
    if found.unit:
        factor = unit_factor(found.unit, units)
        if factor is None:
            raise ValueError(f"{text[:60]!r} has the unit {found.unit[:20]!r}; allowed: {', '.join(units)}")
    if factor is None:
        raise ValueError(f"{text[:60]!r} has no unit, and its heading has none; allowed: {', '.join(units)}")
    if found.value < 0:
        raise ValueError(f"{text[:60]!r} is negative")
    return found.scaled(factor)


def count(text: str) -> int | None:
    """A whole number of things, 0 or more, with nothing behind it. Raises ValueError."""
    found = figure(text)
    if found is None:
        return None
    if found.unit or found.value != int(found.value) or found.value < 0 or found.value > 2**53:
        raise ValueError(f"{text[:60]!r} is not a whole number of things")
    return int(found.value)


def unit_factor(text: str, units: dict[str, float]) -> float | None:
    """The factor of the unit in `text`: "(TFLOPs)", "[TFlop/s]", "kW"; None if it names none of `units`."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = re.sub(r"flops?/s(ec)?", "flops", plain)
    for word in re.findall(r"[a-z]+", plain):
        for spelling in (word, f"{word}s"):
            if spelling in units:
                return units[spelling]
    return None
