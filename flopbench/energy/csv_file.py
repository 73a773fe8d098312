"""Read the file of an external meter: CSV, plain or gzip, one row a reading, each meter a column or named in a column.

What the file is (separator, decimal sign, units) is found from its text, or refused where two readings are possible.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from pathlib import Path

from flopbench.energy.clocks import Stamps
from flopbench.errors import BadInput

#: Unit -> (what it measures, factor to joule or watt). Case tells mW from MW.
UNITS = {
    "J": ("energy", 1.0),
    "kJ": ("energy", 1e3),
    "MJ": ("energy", 1e6),
    "uJ": ("energy", 1e-6),
    "mJ": ("energy", 1e-3),
    "Wh": ("energy", 3600.0),
    "kWh": ("energy", 3.6e6),
    "MWh": ("energy", 3.6e9),
    "W": ("power", 1.0),
    "kW": ("power", 1e3),
    "mW": ("power", 1e-3),
    "MW": ("power", 1e6),
}
_WORDS = {"joule": "J", "joules": "J", "watt": "W", "watts": "W", "kilowatt": "kW", "kilowatts": "kW"}
_SAFE = {name.lower(): name for name in UNITS if name.lower() not in ("mj", "mw")} | {"mwh": "MWh"} | _WORDS
_TIME = ("time", "timestamp", "datetime", "date", "zeit", "zeitstempel", "epoch", "unix", "unix_time", "time_utc", "ts")
_METER = ("meter", "meter_id", "device", "pdu", "sensor", "name", "host", "node")
_ABSENT = {"", "nan", "null", "none", "n/a", "na", "-", "nil"}
_HUGEST_FILE = 4 << 30  # bytes after unpacking: above this it is no log of meters, or a bomb


@dataclass
class Column:
    """Readings of one meter in order of the file: Unix time in s, and joules (`kind` "energy") or watts ("power")."""

    name: str
    kind: str
    unit: str
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass
class MeterFile:
    """What one file holds. `notes` are the faults that were found and what was done about each."""

    path: str
    sha256: str
    columns: list[Column]
    notes: list[str]
    offsets: set[timedelta]


def read(path: Path, unit: str | None = None, zone: tzinfo | None = None, decimal: str | None = None) -> MeterFile:
    """The meters in the file at `path`. `unit` is for columns whose name has none, `zone` for times that have none.

    Raises BadInput, with the line: no such file, damaged, no readings, a time or number that cannot be read, an unknown unit or zone.
    """
    raw, notes = _bytes(path)
    text, encoding_note = _decoded(raw)
    notes += [encoding_note] if encoding_note else []
    reader = _Reader(path, text, unit, Stamps(zone), decimal, notes)
    columns = reader.columns()
    return MeterFile(str(path), hashlib.sha256(raw).hexdigest(), columns, notes, reader.stamps.offsets)


def _bytes(path: Path) -> tuple[bytes, list[str]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read the meter's file {path}: {error.strerror}") from error
    if not raw.startswith(b"\x1f\x8b"):
        return raw, []
    try:
        with gzip.open(io.BytesIO(raw)) as stream:
            unpacked = stream.read(_HUGEST_FILE + 1)
    except (EOFError, zlib.error, OSError) as error:
        raise BadInput(f"{path} is damaged or cut off ({error}); copy it again") from error
    if len(unpacked) > _HUGEST_FILE:
        raise BadInput(f"{path} unpacks to over {_HUGEST_FILE >> 30} GiB; give the part around the run")
    return unpacked, []


def _decoded(raw: bytes) -> tuple[str, str | None]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace"), None
    try:
        return raw.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "not UTF-8; read as ISO-8859-1"


class _Reader:
    """Turns the text of one file into columns."""

    def __init__(
        self, path: Path, text: str, unit: str | None, stamps: Stamps, decimal: str | None, notes: list[str]
    ) -> None:
        self.path, self.stamps, self.decimal, self.notes = path, stamps, decimal, notes
        if unit is not None and unit not in UNITS:
            raise BadInput(f"--unit is {unit!r}; allowed: {', '.join(UNITS)}")
        self.unit = unit
        self.cut_off = bool(text) and not text.endswith(("\n", "\r"))
        self.text = text
        first = next((line for line in text.splitlines() if line.strip()), "")
        if "\0" in text or not first:
            raise BadInput(f"{path} is {'empty' if not text.strip() else 'no text'}; give the meter's CSV file")
        self.separator = max((";", "\t", ","), key=lambda sign: (first.count(sign), sign == ","))
        if first.count(self.separator) == 0:
            raise BadInput(
                f"{path}: its first line has one column; needed: a time and at least one reading, as time,power_w"
            )

    def columns(self) -> list[Column]:
        """The meters, in order of appearance."""
        rows = self._rows()
        _, header = next(rows, (0, []))
        if not header:
            raise BadInput(f"{self.path} has no readings")
        if self._is_time(header[0]):
            rows = self._rows()
            header = ["time", *(f"column {i}" for i in range(2, len(header) + 1))]
            self.notes.append("no line with names; the first column is taken as the time")
        names = [" ".join(name.split()) for name in header]  # a quoted name may hold line ends
        time = next((i for i, name in enumerate(names) if name.lower() in _TIME), None)
        if time is None:
            time = next((i for i, name in enumerate(names) if re.match(r"(time|date|zeit)", name.lower())), None)
        if time is None:
            raise BadInput(f"{self.path}: no column of times among {', '.join(names)[:120]}; name it time")
        meter = next((i for i, name in enumerate(names) if name.lower() in _METER and i != time), None)
        values = self._value_columns(names, {time, meter})
        return self._collect(list(rows), names, time, meter, values)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.separator)
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row
        except csv.Error as error:
            raise BadInput(f"{self.path}, line {reader.line_num}: not CSV ({error})") from error

    def _is_time(self, text: str) -> bool:
        try:
            self.stamps.seconds(text)
        except BadInput:
            return True
        except ValueError:
            return False
        return True

    def _value_columns(self, names: list[str], taken: set[int | None]) -> dict[int, str]:
        """Column -> unit. Energy goes before power, since counters lose nothing between two readings."""
        found = {i: unit for i, name in enumerate(names) if i not in taken and (unit := self._unit_of(name))}
        if not found and self.unit:
            found = {i: self.unit for i in range(len(names)) if i not in taken}
        if not found:
            raise BadInput(
                f"{self.path}: no column names a unit ({', '.join(names)[:120]}); give --unit, one of {', '.join(UNITS)}"
            )
        kinds = {UNITS[unit][0] for unit in found.values()}
        used = {i: u for i, u in found.items() if len(kinds) == 1 or UNITS[u][0] == "energy"}
        left = [name for i, name in enumerate(names) if i not in taken and i not in used]
        if left:
            self.notes.append(f"columns not read: {', '.join(left)[:200]}")
        return used

    def _unit_of(self, name: str) -> str | None:
        for word in reversed(re.findall(r"[A-Za-z]+", name)):
            if word in UNITS:
                return word
            if word.lower() in ("mw", "mj"):
                raise BadInput(
                    f"{self.path}: the unit of column {name!r} may be milli or mega; give it as mW or MW, mJ or MJ"
                )
            if word.lower() in _SAFE:
                return _SAFE[word.lower()]
        return None

    def _collect(
        self, rows: list[tuple[int, list[str]]], names: list[str], time: int, meter: int | None, values: dict[int, str]
    ) -> list[Column]:
        if rows and self.cut_off and not self._whole(rows[-1][1], names, time, values):
            self.notes.append(f"the last line ({rows[-1][0]}) is cut off and was left out")
            rows = rows[:-1]
        decimal = self._decimal(rows, values)
        found: dict[str, Column] = {}
        absent = 0
        for line, row in rows:
            if len(row) != len(names):
                raise BadInput(f"{self.path}, line {line}: {len(row)} columns, the first line has {len(names)}")
            try:
                moment = self.stamps.seconds(row[time])
            except BadInput as error:
                raise BadInput(f"{self.path}, line {line}: {error}") from error
            except (ValueError, OverflowError) as error:
                raise BadInput(
                    f"{self.path}, line {line}: {row[time][:40]!r} is no time; allowed: ISO 8601 or Unix time in s, ms, us, ns"
                ) from error
            for i, unit in values.items():
                if row[i].strip().lower() in _ABSENT:
                    absent += 1
                    continue
                name = row[meter].strip() if meter is not None else names[i]
                name = name if meter is None or len(values) == 1 else f"{name}: {names[i]}"
                column = found.setdefault(name, Column(name, UNITS[unit][0], unit))
                column.times.append(moment)
                column.values.append(self._number(row[i], decimal, line, unit))
        if absent:
            self.notes.append(f"{absent} readings are absent (empty or NaN) and were left out")
        if not found:
            raise BadInput(f"{self.path} has no readings")
        return list(found.values())

    def _whole(self, row: list[str], names: list[str], time: int, values: dict[int, str]) -> bool:
        """Whether a last line without an end of line has all its columns."""
        return len(row) == len(names) and all(row[i].strip() for i in values) and self._is_time(row[time])

    def _decimal(self, rows: list[tuple[int, list[str]]], values: dict[int, str]) -> str:
        """The decimal sign of the numbers: as asked, a point, or a comma where the columns are not separated by commas."""
        if self.decimal:
            return self.decimal
        cells = [row[i].strip() for _, row in rows for i in values if i < len(row) and "," in row[i]]
        if not cells:
            return "."
        both = [cell for cell in cells if "." in cell]
        if both:
            return "," if all(cell.rindex(",") > cell.rindex(".") for cell in both) else "."
        if all(re.fullmatch(r"-?[1-9]\d{0,2}(,\d{3})+", cell) for cell in cells):
            raise BadInput(
                f"{self.path}: the comma in {cells[0]!r} may be a decimal comma or separate thousands; say with --decimal , or --decimal ."
            )
        self.notes.append("numbers have a decimal comma")
        return ","

    def _number(self, text: str, decimal: str, line: int, unit: str) -> float:
        other = "," if decimal == "." else "."
        try:
            value = float(text.strip().replace(other, "").replace(decimal, ".")) * UNITS[unit][1]
        except ValueError as error:
            raise BadInput(f"{self.path}, line {line}: {text[:40]!r} is no number") from error
        if not math.isfinite(value):
            raise BadInput(f"{self.path}, line {line}: {text[:40]!r} is no finite number")
        if value < 0:
            what = "power" if UNITS[unit][0] == "power" else "energy counter"
            raise BadInput(
                f"{self.path}, line {line}: negative {what} {text[:40]}; is the meter wired the wrong way round?"
            )
        return value
