"""Time stamps of meters: ISO 8601, Unix time in s, ms, us or ns, with their zone known or refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flopbench.errors import BadInput

#: A Unix time below the limit is in units of the factor; the first fits years 1973 to 5138.
_UNIX = ((1e11, 1.0), (1e14, 1e-3), (1e17, 1e-6), (1e20, 1e-9))
_UNIX_FORM = re.compile(r"[0-9]{9,19}([.][0-9]+)?")
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})[ T](.+)")
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


def zone(name: str) -> tzinfo:
    """The zone called `name`: UTC, an offset like +02:00, or a name of the IANA list like Europe/Berlin. Raises BadInput."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    if found := _OFFSET.fullmatch(name):
        minutes = int(found[2]) * 60 + int(found[3])
        if minutes <= 14 * 60:
            return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(
            f"unknown time zone {name!r}; allowed: UTC, an offset like +02:00, a name like Europe/Berlin"
        ) from error


def localise(moment: datetime, where: tzinfo) -> datetime:
    """The naive `moment` in the zone `where`. Raises BadInput where a change of the clock makes it stand for two moments or none."""
    first, second = moment.replace(tzinfo=where, fold=0), moment.replace(tzinfo=where, fold=1)
    if first.utcoffset() != second.utcoffset():
        raise BadInput(
            f"{moment.isoformat(' ')} is in an hour that the change of summer time repeats or skips in {where}; "
            "give an offset, like --timezone +01:00, or times in UTC"
        )
    return first


@dataclass
class Stamps:
    """Reads the time stamps of one file. `zone` is for those without one; `offsets` collects the UTC offsets that were written."""

    zone: tzinfo | None = None
    offsets: set[timedelta] = field(default_factory=set)
    naive: bool = False
    _known: dict[str, float] = field(default_factory=dict)

    def seconds(self, text: str) -> float:
        """Unix time of `text`. Raises ValueError if it is no time, BadInput if its zone is not known."""
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._read(text.strip())
        return found

    def _read(self, text: str) -> float:
        if _UNIX_FORM.fullmatch(text):
            value = float(text)
            return value * next(factor for limit, factor in _UNIX if value < limit)
        if day_first := _DAY_FIRST.fullmatch(text):
            text = f"{day_first[3]}-{day_first[2]:0>2}-{day_first[1]:0>2} {day_first[4]}"
        moment = datetime.fromisoformat(text.replace("/", "-").replace(" UTC", "+00:00").replace(" Z", "+00:00"))
        if moment.tzinfo is not None:
            self.offsets.add(moment.utcoffset() or timedelta(0))
            return moment.timestamp()
        if len(text) < len("2026-11-02T03:04"):
            raise ValueError("a date without a time of day")
        self.naive = True
        if self.zone is None:
            raise BadInput(
                f"the time {text!r} has no time zone; say which with --timezone, like --timezone UTC, +02:00 or Europe/Berlin"
            )
        return localise(moment, self.zone).timestamp()
