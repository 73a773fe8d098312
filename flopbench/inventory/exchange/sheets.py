"""Write sheets that are safe to open: no cell of ours is ever run as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

Value = str | float | int | None

#: What a spreadsheet takes as the start of a formula (OWASP, "CSV injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def harmless(text: str) -> str:
    """The text with an apostrophe before what would start a formula; readers of this project take it off again."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


def to_csv(rows: Sequence[Sequence[Value]]) -> bytes:
    """CSV in UTF-8 with a byte order mark, without which Excel takes Chinese for something else."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_text(value) for value in row])
    return b"\xef\xbb\xbf" + stream.getvalue().encode("utf-8", "replace")


def to_xlsx(
    rows: Sequence[Sequence[Value]], heading_rows: int, merged: Sequence[str] = (), sheet: str = "inventory"
) -> bytes:
    """XLSX with numbers as numbers, text as text, and the heading frozen. `merged` are areas such as "C1:F1"."""
    import openpyxl
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    book = openpyxl.Workbook()
    page = book.active
    page.title = sheet
    for number, row in enumerate(rows, start=1):
        for column, value in enumerate(row, start=1):
            if value is None or value == "":
                continue
            cell = page.cell(number, column)
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"
                cell.quotePrefix = harmless(value) != value
            else:
                cell.number_format = "#,##0" if isinstance(value, int) else "#,##0.###"
            if number <= heading_rows:
                cell.font = Font(bold=True)
                cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
    for area in merged:
        page.merge_cells(area)
    page.freeze_panes = page.cell(heading_rows + 1, 1)
    for column in range(1, max((len(row) for row in rows), default=1) + 1):
        longest = max((len(_text(row[column - 1])) for row in rows if len(row) >= column), default=8)
        page.column_dimensions[get_column_letter(column)].width = min(48, max(10, longest + 2))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return harmless(value)
    return repr(value) if isinstance(value, int) else f"{value:.12g}"
