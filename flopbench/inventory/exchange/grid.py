"""A sheet as rows of text cells with their line numbers, from CSV in any usual encoding and separator, or from XLSX."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flopbench.errors import BadInput
from flopbench.inventory.exchange.sheets import harmless

MAX_BYTES = 64 << 20  # the largest published list has 0.3 MB
MAX_CELL = 10_000
_SEPARATORS = ",;:\t|"


@dataclass
class Line:
    """One row: its line number in the file (from 1), its cells, and what was repaired in it."""

    number: int
    cells: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def blank(self) -> bool:
        return not any(self.cells)


@dataclass
class Grid:
    """A whole file. `notes` are repairs that concern all of it."""

    name: str
    lines: list[Line]
    notes: list[str]
    merged: dict[tuple[int, int], int] = field(
        default_factory=dict
    )  # heading cells that span: (line index, column) -> columns


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises BadInput: not there, a folder, too big, empty."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path} has {path.stat().st_size} bytes; an inventory file has at most {MAX_BYTES}")
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    if not raw.strip():
        raise BadInput(f"{path} is empty")
    return raw


def read_grid(path: Path, raw: bytes) -> Grid:
    """The sheet in `raw`, the content of `path`. Raises BadInput."""
    if raw.startswith(b"PK\x03\x04"):
        grid = _xlsx(path, raw)
    elif raw.startswith(b"\xd0\xcf\x11\xe0"):
        raise BadInput(f"{path} is an old .xls file; save it as .xlsx or CSV and import that")
    else:
        grid = _csv(path, raw)
    if not any(not line.blank for line in grid.lines):
        raise BadInput(f"{path} has no filled cell")
    return grid


def decode(path: Path, raw: bytes) -> tuple[str, list[str]]:
    """The text of a file that does not say its encoding, and a note if it is not UTF-8. Raises BadInput."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16"), ["read as UTF-16"]
        except UnicodeDecodeError as error:
            raise BadInput(f"{path}: starts as UTF-16, but is not at byte {error.start}; save it as UTF-8") from error
    if b"\x00" in raw:
        raise BadInput(f"{path}: byte {raw.index(0)} is NUL, so this is no text file; give CSV, XLSX or XML")
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        pass
    high = sum(byte >= 0x80 for byte in raw)
    try:
        text = raw.decode("big5hkscs")
        words = re.findall("[\u3000-\u9fff\uff00-\uffef]+", text)
        if sum(len(word) for word in words if len(word) > 1) > 0.5 * sum(map(len, words)):
            return text, ["read as Big5"]  # characters in words; an accented letter and its neighbour make a lone one
    except UnicodeDecodeError:
        pass
    # Single bytes among ASCII: Latin-1, as the lists up to 2018; anything denser is a damaged multi-byte text.
    if high > 0.02 * len(raw) + 8:
        raise BadInput(
            f"{path}: neither UTF-8, Big5 nor Latin-1 ({high} of {len(raw)} bytes are not ASCII); save it as UTF-8"
        )
    text = raw.decode("cp1252" if _is_cp1252(raw) else "latin-1")
    return text, ["not UTF-8: read as ISO-8859-1 (Latin-1)"]


def _is_cp1252(raw: bytes) -> bool:
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return any(0x80 <= byte < 0xA0 for byte in raw)


def _csv(path: Path, raw: bytes) -> Grid:
    text, notes = decode(path, raw)
    separator = _separator(text)
    lines: list[Line] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        previous = 0
        for cells in reader:
            lines.append(Line(previous + 1, [clean(cell) for cell in cells]))
            previous = reader.line_num
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: not CSV ({error})") from error
    for line in lines:
        if any(len(cell) > MAX_CELL for cell in line.cells):
            raise BadInput(
                f"{path}, line {line.number}: a cell of more than {MAX_CELL} characters; is a quote missing?"
            )
        if any("\ufffd" in cell for cell in line.cells):
            line.notes.append("has characters that were lost before this file was written")
    return Grid(str(path), lines, notes)


def _separator(text: str) -> str:
    """The separator that splits the most lines into the same number of cells, more than one."""
    sample = [line for line in text.splitlines()[:60] if line.strip()]
    best, best_score = ",", 0
    for separator in _SEPARATORS:
        counts = Counter(len(row) for row in csv.reader(sample, delimiter=separator))
        columns, times = max(counts.items(), key=lambda item: (item[0] > 1, item[1], item[0]))
        score = times * min(columns, 60) if columns > 1 else 0
        if score > best_score:
            best, best_score = separator, score
    return best


def _xlsx(path: Path, raw: bytes) -> Grid:
    import warnings

    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > 8 * MAX_BYTES:
            raise BadInput(f"{path} unpacks to {unpacked} bytes; an inventory file has at most {8 * MAX_BYTES}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and extensions that openpyxl does not keep do not matter here
            book = openpyxl.load_workbook(io.BytesIO(raw), data_only=True)
    except BadInput:
        raise
    except Exception as error:  # openpyxl raises whatever its XML and zip layers raise; all of it means a damaged file
        raise BadInput(
            f"{path} is not a readable XLSX file ({type(error).__name__}: {error}); was it cut off?"
        ) from error
    sheet = book.worksheets[0] if book.worksheets else None
    if sheet is None:
        raise BadInput(f"{path} has no sheet")
    notes = [f"only the first of {len(book.worksheets)} sheets is read"] if len(book.worksheets) > 1 else []
    lines = [
        Line(number, [clean(_shown(value)) for value in row])
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1)
    ]
    merged = {
        (area.min_row - 1, area.min_col - 1): area.max_col - area.min_col + 1 for area in sheet.merged_cells.ranges
    }
    width = max((index + 1 for line in lines for index, cell in enumerate(line.cells) if cell), default=0)
    for line in lines:
        line.cells = line.cells[:width]
    return Grid(str(path), lines, notes, merged)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def clean(cell: str) -> str:
    """The cell without control characters and outer spaces; line breaks inside become spaces; see sheets.harmless for the apostrophe."""
    plain = " ".join("".join(c if c.isprintable() or c.isspace() else "" for c in cell).split())
    return plain[1:] if plain[:1] == "'" and harmless(plain[1:]) != plain[1:] else plain
