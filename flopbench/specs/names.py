"""Names of processors and GPUs: one key for the many ways to write the same product, and near matches for a mistyped one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import takewhile

_MARKS = re.compile(r"\((?:r|tm|c)\)|[®™©]", re.IGNORECASE)
_CLOCK = re.compile(r"@?\s*\b(\d+(?:\.\d+)?)\s*([gm])hz\b", re.IGNORECASE)
_CORES = re.compile(r"\b(?:\d+|dual|quad|six|eight|twelve|sixteen)-core\b|\b\d{1,3}c\b", re.IGNORECASE)  # not 8480C
_FILLER = re.compile(
    r"\b(?:intel|amd|ibm|nvidia|fujitsu|ampere|amazon|aws|processor|cpu|graphics|generation|with|genuine)\b",
    re.IGNORECASE,
)
_VERSION = re.compile(r"(?<=\d)(l?)\s*v(\d)\b", re.IGNORECASE)
_BRAND = re.compile(r"^(?:xeon|epyc|opteron|tesla|geforce|instinct)\s+(?=.*\d)")


def key(name: str) -> str:
    """`name` without marks, vendor, clock and core count: "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz" is "xeon e5 2680 v3"."""
    text = _MARKS.sub(" ", name)
    text = _CORES.sub(" ", _CLOCK.sub(" ", text))
    text = _FILLER.sub(" ", text)
    text = _VERSION.sub(r"\1 v\2", text)
    return " ".join(re.split(r"[\s\-_/,;:()]+", text.lower())).strip()


def short_key(name: str) -> str:
    """The key without the brand that stands before a model number: "xeon gold 6148" is "gold 6148"."""
    return _BRAND.sub("", key(name))


def advertised_ghz(name: str) -> float | None:
    """The clock that a name carries ("... @ 2.50GHz", "16C 975MHz"), in GHz, or None."""
    found = _CLOCK.search(_MARKS.sub(" ", name))
    if not found:
        return None
    value = float(found[1])
    return value if found[2].lower() == "g" else value / 1000


def near(got: str, names: Iterable[str], count: int = 6) -> list[str]:
    """The names most like `got`, best first: compared as a whole and word by word, so that H1000 finds every H100.

    Of equally like names those come first that begin as `got` does: 7764 finds 7763 before 7642.
    """
    wanted = key(got)
    words = wanted.split()

    def likeness(name: str) -> float:
        candidate = key(name)
        whole = SequenceMatcher(None, wanted, candidate).ratio()
        if not words:
            return whole
        parts = candidate.split()
        each = [max((SequenceMatcher(None, w, part).ratio() for part in parts), default=0.0) for w in words]
        return max(whole, sum(each) / len(each) - 0.01)

    def begins(name: str) -> int:
        return max(_shared_start(wanted, form) for form in (key(name), short_key(name)))

    scored = sorted((-likeness(name), -begins(name), name) for name in names)
    return [name for score, _, name in scored[:count] if -score >= 0.6]


def _shared_start(one: str, other: str) -> int:
    """Number of characters with which both begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
